// SPDX-License-Identifier: MIT
//
// Named stacks: what the call tree becomes once places have names. Shared by every output.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nmi/profile/recorder.hpp>
#include <nmi/symbols/symbolizer.hpp>

namespace nmircu::command {

// Thread name first (with no object), then functions, outermost first. Sorted, so that equal
// profiles give equal files.
using stack_counts = std::map<std::vector<function_name>, std::uint64_t>;

stack_counts name_stacks(const recorder& seen, symbolizer& names);

// A function with the samples it was interrupted in itself, and those of its callees as well.
struct hot_function {
    function_name name;
    std::uint64_t self = 0;
    std::uint64_t total = 0;
};

// All functions, hottest first.
std::vector<hot_function> hottest(const recorder& seen, symbolizer& names);

}  // namespace nmircu::command
