// SPDX-License-Identifier: MIT
//
// A sleeping lock for updaters, on the port's wait and wake. Three states, as in Drepper's "Futexes
// are tricky": free, held, held with somebody waiting. Thread context only.
#pragma once

#include <atomic>
#include <cstdint>

#include <nmircu/platform/port.hpp>

namespace nmircu::platform {

class lock {
  public:
    [[nodiscard]] bool try_acquire() noexcept {
        std::uint32_t state = free;
        // [LK-1] acquire: the section comes after the taking of the lock.
        // Partner: the release at [LK-3]. Weakened: two updaters see each other's halves.
        return state_.compare_exchange_strong(state, held, std::memory_order_acquire,
                                              std::memory_order_relaxed);
    }

    void acquire() noexcept {
        if (try_acquire()) return;
        // [LK-2] acquire: as [LK-1], for a taker that had to wait. Partner: [LK-3].
        // Weakened: as [LK-1].
        while (state_.exchange(contended, std::memory_order_acquire) != free) {
            port::wait(state_, contended, forever_ns);
        }
    }

    // False: not to be had within `most_ns`.
    [[nodiscard]] bool acquire_within(std::uint64_t most_ns) noexcept {
        if (try_acquire()) return true;
        const std::uint64_t start = port::now_ns();
        // [LK-4] acquire: as [LK-1], for a taker that had to wait. Partner: [LK-3].
        // Weakened: as [LK-1].
        while (state_.exchange(contended, std::memory_order_acquire) != free) {
            const std::uint64_t waited = port::now_ns() - start;
            if (waited >= most_ns) return false;
            port::wait(state_, contended, most_ns - waited);
        }
        return true;
    }

    void release() noexcept {
        // [LK-3] release: the section comes before the lock is free. Partners: [LK-1],
        // [LK-2], [LK-4].
        // Weakened: as [LK-1].
        if (state_.exchange(free, std::memory_order_release) == contended) port::wake_all(state_);
    }

    // In a forked child, where the holder does not exist. Relaxed: there is one thread.
    void reset() noexcept { state_.store(free, std::memory_order_relaxed); }

  private:
    static constexpr std::uint32_t free = 0, held = 1, contended = 2;
    std::atomic<std::uint32_t> state_{free};
};

class lock_guard {
  public:
    explicit lock_guard(lock& which) noexcept : lock_(which) { lock_.acquire(); }
    ~lock_guard() { lock_.release(); }
    lock_guard(const lock_guard&) = delete;
    lock_guard& operator=(const lock_guard&) = delete;

  private:
    lock& lock_;
};

}  // namespace nmircu::platform
