// SPDX-License-Identifier: MIT
//
// The memory a read-side critical section touches: one record per thread (or, on bare metal, per
// CPU) and one domain of per-CPU counters. Layout only: who writes what, and in which order, is
// src/rcu/grace_period.cpp. Not part of the public interface.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <nmircu/platform/limits.hpp>

namespace nmircu::detail {

// CPU numbers the domain has slots for; a CPU beyond them counts in the shared slot instead.
inline constexpr unsigned max_cpus = platform::max_cpus;

// Two cache lines, because the adjacent-line prefetcher moves lines in pairs.
inline constexpr std::size_t slot_bytes = 128;
inline constexpr unsigned slot_shift = 7;

// Counts of sections entered and left, by phase. Written by the CPU that owns the slot (or, for the
// shared slot, by anyone with a read-modify-write); read by the grace-period scan.
struct alignas(slot_bytes) reader_slot {
    std::atomic<std::uint64_t> enter[2];
    std::atomic<std::uint64_t> exit[2];
};
static_assert(sizeof(reader_slot) == slot_bytes);

// A phase as readers carry it: the address of CPU 0's `enter` of that phase, ready to be added to.
// From there, too: the phase's number, and CPU 0's `exit` of it.
using phase_mark = std::atomic<std::uint64_t>*;
inline constexpr std::ptrdiff_t mark_to_exit = 16;
static_assert(offsetof(reader_slot, exit) - offsetof(reader_slot, enter) == mark_to_exit);

[[nodiscard]] inline std::uint32_t phase_of(std::uint64_t mark) noexcept {
    return static_cast<std::uint32_t>(mark / sizeof(std::uint64_t) & 1);  // slots are aligned
}
[[nodiscard]] inline std::uint32_t phase_of(phase_mark mark) noexcept {
    return phase_of(reinterpret_cast<std::uintptr_t>(mark));
}

struct domain_state {
    explicit constexpr domain_state(reader_slot (&slots)[max_cpus]) noexcept
        : entry{slots[0].enter}, cpu{slots} {}

    // The current phase. It shares a line with `waiting`: a leaving reader has it already.
    alignas(slot_bytes) std::atomic<phase_mark> entry;
    // 0, or 1 + the phase an updater sleeps on. The futex word of the grace period.
    std::atomic<std::uint32_t> waiting{0};
    // Whether a race checker has to be told of publications: publication.hpp. Constant soon.
    std::atomic<std::uint32_t> watched{0};

    reader_slot shared{};
    reader_slot (&cpu)[max_cpus];
};

// Defined in src/rcu/default_domain.cpp; constant-initialised, never destroyed.
extern domain_state default_domain __attribute__((visibility("hidden")));

// `section` is 0 outside sections. Inside: the phase_mark of the outermost one, and above its 48
// bits the number of further ones. One word, so that one store changes both; and for a reader that
// does not nest the very word it loaded and will add to.
inline constexpr unsigned nesting_shift = 48;
inline constexpr std::uint64_t nested_section = std::uint64_t{1} << nesting_shift;
// `section >= one_section`: inside.
inline constexpr std::uint64_t one_section = 1;
// `section >= most_nested_sections`: one more does not fit.
inline constexpr std::uint64_t most_nested_sections = std::uint64_t{0xffff} << nesting_shift;

// What an interrupt may be inside, for reports that must name it.
struct named_code {
    const char* name;
    const void* function;
};

// The handler that a dispatch is inside, or is about to be. Lives on the dispatcher's stack.
struct running_handler {
    const named_code* code;
    running_handler* outer;
};

// Above every depth that irq_mask can have, so that both fit in one irq_flags.
inline constexpr std::uint32_t irq_kept_back = std::uint32_t{1} << 31;

struct reader_state {
    std::uint64_t section;
    // Where this thread counts per CPU: its rseq area, or null until (and unless) that is usable.
    void* per_cpu;
    domain_state* domain;
    // Where the outermost section began: a code address, for messages about misuse and stalls.
    const void* entered_at;
    running_handler* handler;
    // Depth of nmi_enter, and which dispatch from now on is timed again; 1: the next one.
    std::uint32_t nmi_depth;
    std::uint32_t until_timed;
    // Whether this thread holds the grace-period lock: a fork in a handler needs to know.
    std::uint32_t is_updater;
    // Whether this thread runs a reclamation cycle; and its deleters, and which function right now.
    enum reclaiming : std::uint32_t { no, waiting, running_deleters } reclaims;
    const void* deleter;
    // Whether this is the reclaimer thread.
    std::uint32_t is_reclaimer;
    // How many retirements this thread is in the middle of: a fork in a handler needs to know.
    std::uint32_t retiring;
    // For messages, written by code that checks for misuse (misuse.hpp) and by no other: where the
    // last lock and the last unlock were called; the frame that called the outermost lock, and that
    // lock's entered_at, without which the frame is not this section's.
    const void* locked_at;
    const void* unlocked_at;
    const void* entered_frame;
    const void* entered_frame_at;
    // The instruction at which the latest claimed NMI stood for several events; 0 if for one.
    std::uintptr_t claimed_several_at;
    // The same, of the dispatcher: the handler it is inside, in memory that outlives it, and the
    // frame of the interrupt's entry.
    const char* called_name;
    const void* called_function;
    const void* dispatch_frame;
    // How many local_irq_save are open; whether an IRQ was kept back (0 or irq_kept_back); and the
    // depth of IRQ handlers. Written by this thread and its signals only; atomic accesses.
    std::uint32_t irq_mask;
    std::uint32_t irq_kept;
    std::uint32_t irq_depth;
    // The function of deferred work that this thread is inside; and why it holds the right to run
    // some.
    const void* deferred;
    enum deferring_state : std::uint32_t { no_items, runs_items, forks } deferring;
    // How many calls that queue some this thread is inside of.
    std::uint32_t queueing;
};

}  // namespace nmircu::detail
