// SPDX-License-Identifier: MIT
//
// Something that happens once, and threads of the program that wait for it. No allocation, no lock:
// the waiting happens before main and at exit. Any context but nmi for `open`.
//
// One that nobody waits at may be used again, for the next agent of the process.
#pragma once

#include <atomic>
#include <cstdint>

#include <nmircu/platform/port.hpp>

namespace nmircu::agent {

class gate {
  public:
    void open() noexcept {
        // [AG-1] release: what was done before precedes what a waiter does after.
        // Partner: the acquire at [AG-2]. Weakened: main starts and its rings are half made.
        open_.store(1, std::memory_order_release);
        platform::port::wake_all(open_);
    }
    [[nodiscard]] bool is_open() const noexcept {
        // [AG-2] acquire: see [AG-1]. Partner: the release at [AG-1]. Weakened: as [AG-1].
        return open_.load(std::memory_order_acquire) != 0;
    }
    // Relaxed: before the threads are started that look at it.
    void reset() noexcept { open_.store(0, std::memory_order_relaxed); }
    // Returns when it is open, or at `deadline_ns` of CLOCK_MONOTONIC.
    void wait_until(std::uint64_t deadline_ns) noexcept {
        while (!is_open()) {
            const std::uint64_t now = platform::port::now_ns();
            if (now >= deadline_ns) return;
            platform::port::wait(open_, 0, deadline_ns - now);
        }
    }
    void wait() noexcept {
        while (!is_open())
            platform::port::wait(open_, 0, platform::forever_ns);
    }

  private:
    std::atomic<std::uint32_t> open_{0};
};

}  // namespace nmircu::agent
