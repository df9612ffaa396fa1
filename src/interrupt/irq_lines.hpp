// SPDX-License-Identifier: MIT
//
// What the dispatcher of IRQs, their registration, and the disabling of lines share.
#pragma once

#include <nmircu/irq.hpp>

#include "interrupt/handler_registry.hpp"
#include "interrupt/parked_interrupts.hpp"

namespace nmircu::interrupt {

// By line. Null: no handler was ever registered.
extern constinit std::atomic<const chain*> irq_chains[platform::irq_line_limit];

extern handler_row irq_handler_rows[detail::max_cpus];
extern chain_row irq_chain_rows[detail::max_cpus];
inline constexpr count_tables irq_counts{irq_handler_rows, irq_chain_rows};
static_assert(2 * platform::irq_line_limit <= most_chains);

struct irq_line {
    parked_interrupts parked;
    count_words unhandled, forwarded, merged, dropped;
    std::atomic<unsigned> users;
};
extern constinit irq_line irq_lines[platform::irq_line_limit];

// Shows one to the line's handlers. Context: irq.
void handle_irq(pt_regs* regs, int line) noexcept;

// Opens the line and drops what it has kept, for its next users. Thread context, outside sections;
// blocks.
void reset_line(int line) noexcept;

// In a forked child.
void disabled_lines_forked() noexcept;

[[nodiscard]] inline bool is_usable(int line) noexcept {
    return platform::kind_of_line(line) == platform::line_kind::usable;
}

}  // namespace nmircu::interrupt
