// SPDX-License-Identifier: MIT
//
// The perf source: one perf event per thread that existed at start, inherited by the kernel to all
// threads created later, each sending its thread SIGTRAP at every overflow. Leaves locking to
// sources.cpp and the filtering of duplicates to source_signals.hpp. Context: thread.
//
// What is counted. The thread's CPU time (PERF_COUNT_SW_TASK_CLOCK, an hrtimer in the kernel), not
// cycles: a period in time gives the rate that was asked for whatever the clock frequency, needs no
// counter hardware (most virtual machines have none), competes with nobody's counters, and is the
// one variant that could be verified. Only overflows in user mode raise the signal
// (exclude_kernel): the one kind an unprivileged user may have, and it never interrupts a system
// call, so no EINTR.
// What it costs: sources.hpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "platform/linux/source_signals.hpp"

namespace nmircu::platform {

class perf_source {
  public:
    perf_source() = default;
    perf_source(const perf_source&) = delete;
    perf_source& operator=(const perf_source&) = delete;

    // Opens the events. Returns an empty string, or in one line why not; then none is open.
    std::string start(std::uint32_t rate_hz, int excluded_tid);
    void stop();

    // Closes events found to be duplicates. Opens everything again if the program closed one of our
    // descriptors; returns as start does.
    std::string rescan();

    // In the child of a fork: lets go of the parent's events without stopping them. No heap.
    void abandon() noexcept;

  private:
    struct event {
        int thread_id;
        int fd;
        std::uint64_t id;  // the kernel's, to recognise a descriptor that is no longer ours
        bool doubtful;     // its thread may have inherited another one
    };

    int open_event(int thread_id, bool doubtful);
    int open_unknown(const std::vector<int>& threads, std::vector<int>& known, bool doubtful);
    void resolve(const tag_conflict& conflict);
    [[nodiscard]] bool all_ours() const;

    std::uint32_t rate_hz_ = 0;
    int excluded_tid_ = 0;
    std::vector<event> events_;           // in order of opening
    std::vector<tag_conflict> suspects_;  // conflicts seen once
};

// Why perf_event_open failed with `error` and what to do about it, in one line; `paranoid` is
// kernel.perf_event_paranoid, or less than -1 if unknown.
std::string describe_perf_failure(int error, int paranoid);
// What is wrong with the kernel of this `uname -r`; empty: nothing.
std::string perf_kernel_objection(const char* release);

}  // namespace nmircu::platform
