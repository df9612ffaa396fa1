// SPDX-License-Identifier: MIT
//
// The timer source: for each thread a POSIX timer on the thread's own CPU clock that sends it
// nmi_signal. Needs no privilege and no recent kernel. Leaves locking, and finding the threads, to
// sources.cpp. Context: thread.
//
// Limits. The kernel looks at CPU timers once per tick, so no thread gets more signals than ticks
// per second (tick_hz); the expirations in between are delivered as the overrun count. Each timer
// takes one of the user's RLIMIT_SIGPENDING, also of a thread that has ended, until the next scan.
// What a thread runs after its last tick no signal tells. So that threads which live for moments
// count as much as they run, all of them together, one that is armed in its first act counts each
// of its ticks for a whole one, also the first, before which it has not run so long. A signal may
// fall into a system call; with SA_RESTART most continue.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nmircu::platform {

class timer_source {
  public:
    // A thread without a timer, and the errno value of timer_create.
    struct failure {
        int thread_id;
        int error;
    };

    timer_source() = default;
    timer_source(const timer_source&) = delete;
    timer_source& operator=(const timer_source&) = delete;

    // Arms all of `threads` (ascending) but the excluded one. Returns an empty string, or in one
    // line why not even one could be armed; then nothing is.
    std::string start(std::uint32_t rate_hz, int excluded_tid, const std::vector<int>& threads);
    void stop();

    // Arms those of `threads` that are not armed, and deletes the timers of threads that ended.
    void rescan(const std::vector<int>& threads);
    // Arms the calling thread, which has just begun. If its number was another thread's, that one
    // has ended. A failure shows at the next rescan.
    void arm_new(int thread_id);

    // In the child of a fork, which inherits no timers. No heap.
    void abandon() noexcept;

    [[nodiscard]] const std::vector<failure>& failures() const noexcept { return failures_; }

  private:
    struct timer {
        int thread_id;
        int id;  // the kernel's
    };

    int arm(int thread_id, std::uint64_t first_expiry_ns);
    int create(int thread_id, std::uint64_t first_expiry_ns, int& timer_id) const;
    int arm_beginning(int thread_id);
    void reap_dead();
    std::vector<timer>::iterator position(int thread_id);

    std::uint64_t interval_ns_ = 0;
    int excluded_tid_ = 0;
    std::vector<timer> timers_;  // ascending by thread
    std::vector<failure> failures_;
};

// Why a thread has no timer, in one phrase.
std::string describe_timer_failure(int error);
// Ticks per second of this kernel: the most signals a thread's CPU timer sends in a second.
std::uint32_t tick_hz();

}  // namespace nmircu::platform
