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

struct engine_state {
    platform::lock updaters;
    // Even: idle; odd: a grace period is running.
    std::atomic<std::uint64_t> sequence{0};
    // Whether barrier_everyone reaches the readers, so that they need no fence of their own.
    std::atomic<bool> asymmetric{false};
    std::atomic<bool> started{false};
    // Slots to scan: CPU numbers are below this.
    std::atomic<std::uint32_t> cpus{detail::max_cpus};

    latency_histogram latency;
    std::atomic<std::uint64_t> shared_calls{0};
};

extern constinit engine_state engine;

// A barrier on every CPU that may run a reader. The caller holds engine.updaters.
void barrier_for_readers_locked() noexcept;

}  // namespace nmircu::rcu
