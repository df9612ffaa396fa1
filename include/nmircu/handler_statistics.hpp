// SPDX-License-Identifier: MIT
//
// What has been observed of an interrupt handler, of either kind (nmi.hpp, irq.hpp).
#pragma once

#include <cstdint>

namespace nmircu {

// A handler's name has 1..handler_name_bytes - 1 characters.
inline constexpr unsigned handler_name_bytes = 32;

// Sums over the CPUs are taken without stopping anyone: exact once the handler is idle.
struct handler_statistics {
    char name[handler_name_bytes];
    std::uint32_t generation;   // 1 + number of swaps
    std::uint64_t calls;        // times it was asked
    std::uint64_t handled;      // times it claimed the interrupt
    std::uint64_t timed_calls;  // of the calls, those whose duration was measured
    std::uint64_t total_ns;     // time in those
    std::uint64_t longest_ns;   // the longest of those
};

}  // namespace nmircu
