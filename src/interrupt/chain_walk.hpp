// SPDX-License-Identifier: MIT
//
// Asking the handlers of a chain. Context: nmi and irq, inside a read-side section.
#pragma once

#include <nmircu/arch/cpu.hpp>

#include "interrupt/handler_check.hpp"
#include "interrupt/handler_counts.hpp"

namespace nmircu::interrupt {

// Called when no call of a handler has taken longer so far: it may be worth a warning.
void check_longest(const char* name, std::uint64_t cycles) noexcept;

struct walked {
    unsigned events;       // claimed, by all; not zero if anybody claimed
    std::uint64_t cycles;  // spent in the handlers, if timed
};

// What handlers return adds up to how many events they found; but whatever is not zero is a claim,
// and negative numbers may cancel out others.
[[gnu::always_inline]] inline unsigned events_of(unsigned sum, std::uint64_t claimed) noexcept {
    constexpr unsigned negative = 1u << 31;
    if (sum != 0 && sum < negative) return sum;
    if (claimed == 0) return 0;
    return (claimed & (claimed - 1)) == 0 ? 1 : 2;
}

// A chain of one handler, not timed: what most interrupts are. Returns the events it has found.
[[gnu::always_inline]] inline unsigned call_alone(detail::reader_state& self,
                                                  const count_tables& counts,
                                                  const chain_entry& entry, pt_regs* regs,
                                                  int number, int cpu) noexcept {
    const handler_function function = function_of(entry);
    detail::running_handler running{entry.name, reinterpret_cast<const void*>(function),
                                    self.handler};
    self.handler = &running;
    handler_check check(self);
    check.calls(running.name, running.function);
    const int handled = function(entry.cookie, regs, number);
    check.returned();
    self.handler = running.outer;
    handler_cell& cell = counts.handlers[0].cell[entry.id];
    if (handled == 0) {
        add_per_cpu<row_shift>(self, cell.alone_passed, cpu, 1);
        return 0;
    }
    add_per_cpu<row_shift>(self, cell.alone_handled, cpu, 1);
    return handled > 0 ? static_cast<unsigned>(handled) : 1;
}

// The whole chain, even after a claim: edge-triggered interrupts merge, so one arrival may stand
// for several handlers' events.
template <bool Timed>
[[gnu::always_inline]] inline walked walk_chain(detail::reader_state& self,
                                                const count_tables& counts, const chain& handlers,
                                                pt_regs* regs, int number, int cpu) noexcept {
    detail::running_handler running{nullptr, nullptr, self.handler};
    self.handler = &running;
    handler_check check(self);
    walked result{0, 0};
    std::uint64_t claimed = 0;  // bit i: entry i
    [[maybe_unused]] std::uint64_t last = 0;
    if constexpr (Timed) last = arch::cycle_counter();
    std::uint64_t bit = 1;
    const chain_entry* const end = handlers.entries + handlers.count;
    for (const chain_entry* entry = handlers.entries; entry != end; ++entry, bit <<= 1) {
        const handler_function function = function_of(*entry);
        running.name = entry->name;
        running.function = reinterpret_cast<const void*>(function);
        check.calls(running.name, running.function);
        const int handled = function(entry->cookie, regs, number);
        check.returned();
        result.events += static_cast<unsigned>(handled);
        if (handled != 0) claimed |= bit;
        if constexpr (Timed) {
            const std::uint64_t now = arch::cycle_counter();
            // A thread that moved between CPUs with unequal counters could see time run backwards.
            const std::uint64_t cycles = now > last ? now - last : 0;
            if (count_duration(self, counts, entry->id, cpu, cycles)) {
                check_longest(entry->name, cycles);
            }
            result.cycles += cycles;
            last = now;
        }
    }
    self.handler = running.outer;
    result.events = events_of(result.events, claimed);
    count_walk(self, counts, handlers, claimed, cpu);
    return result;
}

}  // namespace nmircu::interrupt
