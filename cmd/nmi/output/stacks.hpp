// SPDX-License-Identifier: MIT
//
// Named stacks out of a profile: what every picture and table is drawn from.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nmi/profile/profile.hpp>
#include <nmi/symbols/symbolizer.hpp>

namespace nmircu::command {

// Functions, outermost first. Sorted, so that equal profiles give equal files.
using stack_counts = std::map<std::vector<function_name>, std::uint64_t>;

// What stands below all of a thread's functions, with no object.
enum class thread_roots {
    none,         // threads are merged
    name,         // threads of one name are merged
    name_and_id,  // "worker (4711)"
};

// The value type that we show: samples, or, if there are none, what pprof would show.
std::uint32_t shown_value_type(const profile& of);

// Of that value type; samples whose value is not above 0 are left out.
stack_counts stacks_of(const profile& of, thread_roots roots);

// All of them.
std::uint64_t sum(const stack_counts& stacks);

// A function with the samples it was interrupted in itself, and those of its callees as well.
struct hot_function {
    function_name name;
    std::uint64_t self = 0;
    std::uint64_t total = 0;
};

// All functions of stacks without thread roots, hottest first.
std::vector<hot_function> hottest(const stack_counts& stacks);

}  // namespace nmircu::command
