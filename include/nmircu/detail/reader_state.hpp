// SPDX-License-Identifier: MIT
//
// The memory a read-side critical section touches: one record per thread (or, on bare metal, per
// CPU) and one domain of per-CPU counters. Layout only: who writes what, and in which order, is
// src/rcu/grace_period.cpp. Not part of the public interface.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace nmircu::detail {

// CPU numbers the domain has slots for. Linux never hands out one at or above the number of
// *possible* CPUs; a CPU beyond this limit counts in the shared slot instead.
inline constexpr unsigned max_cpus = 1024;

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

struct domain_state {
    // `phase` and `waiting` share a line: a leaving reader has it already.
    alignas(slot_bytes) std::atomic<std::uint32_t> phase{0};
    // 0, or 1 + the phase an updater sleeps on. The futex word of the grace period.
    std::atomic<std::uint32_t> waiting{0};

    reader_slot shared{};
    reader_slot cpu[max_cpus]{};
};

// Defined in src/rcu/default_domain.cpp; constant-initialised, never destroyed.
extern domain_state default_domain __attribute__((visibility("hidden")));

// `section` is nesting << 1 | phase: one word, so that one store changes both.
inline constexpr std::uint64_t one_section = 2;

// The handler a dispatch is inside, for reports that must name it. Lives on the dispatcher's stack.
struct running_handler {
    const char* name;
    const void* function;
    running_handler* outer;
};

struct reader_state {
    std::uint64_t section;
    // Where this thread counts per CPU: its rseq area, or null until (and unless) that is usable.
    void* per_cpu;
    domain_state* domain;
    // Where the outermost section began: a code address, for messages about misuse and stalls.
    const void* entered_at;
    running_handler* handler;
    // Depth of nmi_enter, and how many dispatches are left before one is timed again.
    std::uint32_t nmi_depth;
    std::uint32_t until_timed;
    // Whether this thread holds the grace-period lock: a fork in a handler needs to know.
    std::uint32_t is_updater;
    // Whether this thread runs a reclamation cycle; and its deleters, and which function right now.
    enum reclaiming : std::uint32_t { no, waiting, running_deleters } reclaims;
    const void* deleter;
};

}  // namespace nmircu::detail
