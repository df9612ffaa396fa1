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
[[gnu::always_inline]] inline unsigned events_of(unsigned sum, unsigned claims) noexcept {
    constexpr unsigned most = (1u << 31) - 1;
    if (sum - 1 < most) [[likely]]
        return sum;
    return claims > 2 ? 2 : claims;
}

// A chain of one handler, not timed: what most interrupts are. Returns the events it has found.
[[gnu::always_inline]] inline unsigned call_alone(detail::reader_state& self,
                                                  const count_tables& counts,
                                                  const chain_entry& entry, pt_regs* regs,
                                                  int number, int cpu) noexcept {
    detail::running_handler running{&entry, self.handler};
    self.handler = &running;
    handler_check check(self);
    check.calls(entry);
    const int handled = function_of(entry)(entry.cookie, regs, number);
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

// The duration of the call that has just returned; `last` is when it began.
inline std::uint64_t count_call(detail::reader_state& self, const count_tables& counts,
                                const chain_entry& entry, int cpu, std::uint64_t& last) noexcept {
    const std::uint64_t now = arch::cycle_counter();
    // A thread that moved between CPUs with unequal counters could see time run backwards.
    const std::uint64_t cycles = now > last ? now - last : 0;
    if (count_duration(self, counts, entry.id, cpu, cycles)) check_longest(entry.name, cycles);
    last = now;
    return cycles;
}

// The whole chain, which is not empty, even after a claim: edge-triggered interrupts merge, so one
// arrival may stand for several handlers' events.
template <bool Timed>
[[gnu::always_inline]] inline walked walk_chain(detail::reader_state& self,
                                                const count_tables& counts, const chain& handlers,
                                                pt_regs* regs, int number, int cpu) noexcept {
    const chain_entry* entry = handlers.entries;
    const chain_entry* const end = handlers.end;
    // What no call needs waits in memory.
    struct : detail::running_handler {
        const chain* handlers;
        detail::reader_state* self;
    } running{{entry, self.handler}, &handlers, &self};
    self.handler = &running;
    handler_check check(self);
    unsigned events = 0;
    declined_bits declined = 0;
    std::uint64_t cycles = 0;
    [[maybe_unused]] std::uint64_t last = 0;
    if constexpr (Timed) last = arch::cycle_counter();
    do {
        running.code = entry;
        check.calls(*entry);
        const int handled = function_of(*entry)(entry->cookie, regs, number);
        check.returned();
        events += static_cast<unsigned>(handled);
        arch::append_whether_zero(declined, handled);
        if constexpr (Timed) cycles += count_call(self, counts, *entry, cpu, last);
    } while (++entry != end);
    running.self->handler = running.outer;
    const unsigned claims = count_walk(*running.self, counts, *running.handlers, declined, cpu);
    return {events_of(events, claims), cycles};
}

}  // namespace nmircu::interrupt
