// SPDX-License-Identifier: MIT
//
// The updater's state, beside the readers' (detail/reader_state.hpp), and what the files of this
// folder share. The table of shared variables and the invariants are in grace_period.cpp.
#pragma once

#include <atomic>
#include <cstdint>

#include <nmircu/detail/lifecycle.hpp>
#include <nmircu/rcu.hpp>

#include "platform/lock.hpp"
#include "rcu/latency.hpp"

namespace nmircu::rcu {

using platform::port;

struct engine_state {
    platform::lock updaters;
    // Even: idle; odd: a grace period is running.
    std::atomic<std::uint64_t> sequence{0};
    // Whether barrier_everyone reaches the readers, so that they need no fence of their own.
    std::atomic<bool> asymmetric{false};
    std::atomic<bool> started{false};
    // Slots to scan: CPU numbers are below this.
    std::atomic<std::uint32_t> cpus{detail::max_cpus};

    // See rcu_set_stall_limit; forever_ns: never.
    std::atomic<std::uint64_t> stall_limit_ns{10'000'000'000};

    latency_histogram latency;
    std::atomic<std::uint64_t> shared_calls{0};
};

extern constinit engine_state engine;

// A value of `sequence`, even: reached when a grace period has passed.
using grace_period_number = std::uint64_t;

// The end of the first whole grace period from now on. Any context.
[[nodiscard]] grace_period_number whole_grace_period_from_now() noexcept;
// Whether it has been reached; if so, everything before it is visible. Any context.
[[nodiscard]] bool has_passed(grace_period_number number) noexcept;
// Shares or runs grace periods until it has passed; gives up after `most_ns`, returning false.
// Thread context, outside any section.
bool wait_for_grace_period(grace_period_number number,
                           std::uint64_t most_ns = platform::forever_ns) noexcept;

// A barrier on every CPU that may run a reader. The caller holds engine.updaters.
void barrier_for_readers_locked() noexcept;

// Whether this thread counts per CPU; finds out for a thread that has not asked yet. Any context.
bool counts_per_cpu(detail::reader_state& self) noexcept;

// Whether this thread is in a place that may not wait for grace periods. `what` names the function
// that was called at `caller`, `instead` says what to do: stops the program with a message if so.
void require_outside_sections(const detail::reader_state& self, const char* what,
                              const void* caller, const char* instead) noexcept;

}  // namespace nmircu::rcu
