// SPDX-License-Identifier: MIT
//
// What is counted of handlers and of their chains, per CPU, by the dispatcher (nmi and irq context)
// for whoever asks (thread context).
//
// A dispatch counts as little as it can. A handler that is alone in its chain has counts of its
// own. In a longer chain the usual outcome, that all of them claim, is one count of the chain;
// anything else is another one, and one for each that claimed. So
//
//   a handler's calls   = its alone_handled + alone_passed + all + other of each chain it was in
//   a handler's claims  = its alone_handled + among_handled + all of each chain it was in
//
// A chain's counts are folded into its handlers' when it is over and nobody walks it any more.
#pragma once

#include <cstdint>

#include "interrupt/chain.hpp"
#include "interrupt/per_cpu_count.hpp"

namespace nmircu::interrupt {

struct alignas(128) handler_cell {
    count_words alone_handled;
    count_words alone_passed;
    count_words among_handled;
    count_words timed;             // calls whose duration was measured
    count_words cycles;            // in those
    std::uint64_t longest_cycles;  // atomic accesses only
    // Of chains that are over. Written and read by updaters, under their lock.
    std::uint64_t past_calls;
    std::uint64_t past_handled;
};
static_assert(sizeof(handler_cell) == 128);

struct chain_cell {
    count_words all;    // dispatches that every handler claimed
    count_words other;  // dispatches that some or none did
};

// Rows lie this far apart: add_per_cpu finds the running CPU's with a shift.
inline constexpr unsigned row_shift = 13;
inline constexpr unsigned most_chains = (1u << row_shift) / sizeof(chain_cell);
struct handler_row {
    handler_cell cell[most_handlers];
};
struct chain_row {
    chain_cell cell[most_chains];
};
static_assert(sizeof(handler_row) == std::size_t{1} << row_shift);
static_assert(sizeof(chain_row) == std::size_t{1} << row_shift);

// One per registry: rows by CPU. Zeroes in .bss, where untouched pages cost nothing.
struct count_tables {
    handler_row* handlers;
    chain_row* chains;
};

// Of a walk: a bit for each handler asked, the first one's the highest; set if it declined.
using declined_bits = std::uint64_t;

// After a walk over `handlers`. Returns how many claimed.
[[gnu::always_inline]] inline unsigned count_walk(detail::reader_state& self,
                                                  const count_tables& counts, const chain& handlers,
                                                  declined_bits declined, int cpu) noexcept {
    handler_row& cpu0 = counts.handlers[0];
    if (handlers.count == 1) {
        handler_cell& cell = cpu0.cell[handlers.entries[0].id];
        add_per_cpu<row_shift>(self, declined == 0 ? cell.alone_handled : cell.alone_passed, cpu,
                               1);
        return declined == 0 ? 1 : 0;
    }
    chain_cell& cell = counts.chains[0].cell[handlers.index];
    if (declined == 0) {
        add_per_cpu<row_shift>(self, cell.all, cpu, 1);
        return handlers.count;
    }
    add_per_cpu<row_shift>(self, cell.other, cpu, 1);
    unsigned claims = 0;
    std::uint64_t claimed = ~declined & (~std::uint64_t{0} >> (most_handlers - handlers.count));
    for (; claimed != 0; claimed &= claimed - 1) {
        const unsigned from_last = static_cast<unsigned>(__builtin_ctzll(claimed));
        const chain_entry& claimant = handlers.entries[handlers.count - 1 - from_last];
        add_per_cpu<row_shift>(self, cpu0.cell[claimant.id].among_handled, cpu, 1);
        ++claims;
    }
    return claims;
}

// Raises `longest` to `cycles`; whether it did. Any context.
inline bool note_longest(std::uint64_t& longest, std::uint64_t cycles) noexcept {
    // Relaxed: a maximum for people. The loop ends: each failure means a larger value got in.
    std::uint64_t seen = __atomic_load_n(&longest, __ATOMIC_RELAXED);
    while (cycles > seen) {
        if (__atomic_compare_exchange_n(&longest, &seen, cycles, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
            return true;
        }
    }
    return false;
}

// Of one call that took `cycles`; whether none has taken longer on this CPU.
inline bool count_duration(detail::reader_state& self, const count_tables& counts, unsigned id,
                           int cpu, std::uint64_t cycles) noexcept {
    handler_cell& cell = counts.handlers[0].cell[id];
    add_per_cpu<row_shift>(self, cell.timed, cpu, 1);
    add_per_cpu<row_shift>(self, cell.cycles, cpu, cycles);
    return note_longest(counts.handlers[cpu].cell[id].longest_cycles, cycles);
}

}  // namespace nmircu::interrupt
