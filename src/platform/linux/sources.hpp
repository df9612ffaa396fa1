// SPDX-License-Identifier: MIT
//
// Interrupt sources: what makes the kernel interrupt every thread of this process at a given rate
// of its CPU time. Two kinds: perf counter overflow (SIGTRAP) and per-thread CPU timers (SIGSTKFLT).
// Hosted code; thread context only; one source at a time. Signals it causes are dispatched by
// signal_vector.hpp, which recognises them by their tag.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nmircu::platform {

enum class source_kind : std::uint8_t { automatic, perf, timer };

struct source_settings {
    source_kind kind = source_kind::automatic;
    std::uint32_t rate_hz = 1000;  // per thread, of its CPU time; 1..20000
};

// A thread that cannot be interrupted, and why (one phrase).
struct unreachable_thread {
    int thread_id;
    std::string reason;
};

struct source_status {
    source_kind kind = source_kind::automatic;  // perf or timer while running
    bool running = false;
    std::uint32_t rate_hz = 0;
    std::uint32_t threads = 0;           // threads covered at the last scan
    std::uint64_t overruns = 0;          // timer expirations merged into an earlier signal
    std::string reason;                  // why automatic did not take perf; empty if it did
    std::vector<unreachable_thread> unreachable;
};

// Starts interrupting every thread of the process, present and future, except `excluded_tid` (the
// agent's own control thread; 0 for none). Returns an empty string, or one line saying what failed
// and what to try; then nothing is running.
std::string start_source(const source_settings& settings, int excluded_tid);
// After it returns the kernel raises no further interrupts for this source; one that was already on
// its way may still arrive. Idempotent.
void stop_source();
source_status current_source();

// Covers threads that appeared and forgets those that ended since the last call. The owner of the
// source calls it a few times a second.
void rescan_threads();
// Covers the calling thread at once; called at the start of a thread by whoever can see threads
// start. Context: a thread's beginning, all signals deliverable. Cheap when no source runs.
void thread_started();

}  // namespace nmircu::platform
