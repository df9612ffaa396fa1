// SPDX-License-Identifier: MIT
//
// The hottest functions, as a table for people.
#pragma once

#include <string>
#include <vector>

#include <nmi/output/stacks.hpp>

namespace nmircu::command {

// At most `most` functions that were interrupted themselves; empty if there are none. Names are cut
// to fit into `width` columns.
std::string hot_table(const std::vector<hot_function>& functions, std::uint64_t samples,
                      std::size_t most, std::size_t width);

}  // namespace nmircu::command
