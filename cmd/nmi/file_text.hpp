// SPDX-License-Identifier: MIT
//
// A small file as text: those of /proc above all, whose process may end between two reads. (A file
// stream throws then.)
#pragma once

#include <string>

namespace nmircu::command {

// All that can be read of it; empty if it cannot be opened.
std::string text_of_file(const std::string& path);

}  // namespace nmircu::command
