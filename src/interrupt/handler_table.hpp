// SPDX-License-Identifier: MIT
//
// What is known of each registered handler, by its number: name, type, generation, and per CPU its
// counts and times. The dispatcher writes the counts in nmi context; registration and readers run
// in thread context.
#pragma once

#include <cstdint>

#include <nmircu/nmi.hpp>

#include "interrupt/per_cpu_count.hpp"

namespace nmircu::interrupt {

struct handler_counts {
    count_words handled;  // times it claimed the interrupt
    count_words passed;   // times it did not
    count_words timed;    // of both, those whose duration was measured
    count_words cycles;   // in those
};
struct alignas(128) handler_cell {
    handler_counts counts;
    std::uint64_t longest_cycles;  // atomic accesses only
};
static_assert(sizeof(handler_cell) == 128);

inline constexpr unsigned row_shift = 13;
struct handler_row {
    handler_cell cell[most_nmi_handlers];
};
static_assert(sizeof(handler_row) == std::size_t{1} << row_shift);

// Zeroes in .bss: untouched pages of it cost nothing.
extern handler_row handler_rows[detail::max_cpus];

// Context: nmi. A handler that began at `start` and has just returned `handled`.
void count_call(detail::reader_state& self, unsigned id, int cpu, int handled) noexcept;
void count_duration(detail::reader_state& self, unsigned id, int cpu,
                    std::uint64_t cycles) noexcept;

}  // namespace nmircu::interrupt
