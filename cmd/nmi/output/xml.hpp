// SPDX-License-Identifier: MIT
//
// Text from anywhere, fit to stand in an XML document.
#pragma once

#include <string>
#include <string_view>

namespace nmircu::command {

// Markup escaped; what is no UTF-8, or no character XML allows, becomes '?'.
std::string xml_text(std::string_view text);

}  // namespace nmircu::command
