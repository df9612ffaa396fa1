// SPDX-License-Identifier: MIT
//
// Keeps fork from copying the reclaimer's work half done: a fork waits until who reclaims has come
// to a point where every object is in a list and no deleter runs, and holds him there until the
// copy is made. The same for who runs deferred work. Thread context, except where said.
//
//   variable   written by       read by          protection
//   doing      who reclaims     fork, futex      [FG-1], [FG-5] with [FG-3]; [FG-2] with
//                                                [FG-4], [FG-6]
//   forks      forks            who reclaims     as above
#pragma once

#include <atomic>
#include <cstdint>

#include <nmircu/platform/port.hpp>

namespace nmircu::rcu {

class fork_gate {
  public:
    // What a fork would interrupt. Taking is short and needs nobody; a deleter may wait for anyone.
    enum work : std::uint32_t {
        nothing,
        taking,
        running_deleters,
        running_functions = running_deleters  // of deferred work
    };

    // Begins, once no fork is under way.
    void begin(work what) noexcept {
        for (;;) {
            doing_.store(what, std::memory_order_relaxed);  // ordered by the fence
            // [FG-1] seq_cst fence: the announcement precedes the look. Partner: [FG-3].
            // Weakened: fork copies a list that is neither here nor there.
            std::atomic_thread_fence(std::memory_order_seq_cst);
            const std::uint32_t forks = forks_.load(std::memory_order_relaxed);  // [FG-1]
            if (forks == 0) return;
            end();
            platform::port::wait(forks_, forks, platform::forever_ns);
        }
    }

    void end() noexcept {
        // [FG-2] release: what was done precedes the copy. Partners: the acquires at [FG-4],
        // [FG-6]. Weakened: the child sees half of it.
        doing_.store(nothing, std::memory_order_release);
        // [FG-5] seq_cst fence: the end precedes the look at who waits for it. Partner: [FG-3].
        // Weakened: a fork that sleeps is not woken, and sleeps its time out.
        std::atomic_thread_fence(std::memory_order_seq_cst);
        if (forks_.load(std::memory_order_relaxed) != 0)
            platform::port::wake_all(doing_);  // [FG-5]
    }

    // Between two pieces of work. Relaxed: a fork that is missed now is seen after the next one.
    void let_forks_pass(work what) noexcept {
        if (forks_.load(std::memory_order_relaxed) != 0) [[unlikely]] {
            end();
            begin(what);
        }
    }

    // Before a fork, in any context: waits for at most `most_ns` until nothing more than `allowed`
    // is being done; nothing new begins until release.
    void hold(work allowed, std::uint64_t most_ns) noexcept {
        forks_.fetch_add(1, std::memory_order_relaxed);  // ordered by the fence
        // [FG-3] seq_cst fence: the announcement precedes the look. Partners: [FG-1], [FG-5].
        // Weakened: as there.
        std::atomic_thread_fence(std::memory_order_seq_cst);
        const std::uint64_t start = platform::port::now_ns();
        for (std::uint64_t waited = 0; waited < most_ns;
             waited = platform::port::now_ns() - start) {
            // [FG-4] acquire: what has been done is copied whole. Partner: the release at [FG-2].
            // Weakened: as there.
            const std::uint32_t doing = doing_.load(std::memory_order_acquire);
            if (doing == nothing || doing == allowed) return;
            platform::port::wait(doing_, doing, most_ns - waited);
        }
    }

    // After hold, not for who takes himself: waits until nothing is being taken, which is soon.
    void wait_while_taking() noexcept {
        constexpr std::uint64_t look_again_ns = 1'000'000;
        // [FG-6] acquire: as [FG-4], for a fork whose time was up. Partner: the release at [FG-2].
        // Weakened: as there.
        while (doing_.load(std::memory_order_acquire) == taking)
            platform::port::wait(doing_, taking, look_again_ns);
    }

    // After the fork, in the parent. Relaxed: it lets others go on, and publishes nothing.
    void release() noexcept {
        if (forks_.fetch_sub(1, std::memory_order_relaxed) == 1) platform::port::wake_all(forks_);
    }

    // In the child, whose only thread is or is not the one that reclaims. Relaxed: one thread.
    void forget(bool own_work_goes_on) noexcept {
        forks_.store(0, std::memory_order_relaxed);
        if (!own_work_goes_on) doing_.store(nothing, std::memory_order_relaxed);
    }

  private:
    std::atomic<std::uint32_t> doing_{nothing};
    std::atomic<std::uint32_t> forks_{0};
};

}  // namespace nmircu::rcu
