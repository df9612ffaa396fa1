// SPDX-License-Identifier: MIT
//
// Polled grace periods: take a cookie, go on with other work, ask later whether a grace period has
// passed since, and wait only if none has.
//
// Smallest complete use:
//
//     nmircu::rcu_assign_pointer(current, next);
//     nmircu::rcu_cookie cookie = nmircu::rcu_poll_start();    // does not wait
//     ... other work ...
//     if (nmircu::rcu_poll_passed(cookie)) delete old;         // or keep both for the next look
//
// Guarantees. When rcu_poll_passed(c) is true, every section that was entered before c was taken
// has been left, and what it did is visible. A cookie that has passed stays passed. Grace periods
// are shared: one satisfies every cookie taken before it began.
//
// Limits. fork(): cookies stay valid in the child. A cookie means nothing in another process.
//
// Cost. rcu_poll_start and rcu_poll_state are a fence and a load, and the former wakes the
// reclaimer thread (rcu_retire.hpp) if it sleeps; rcu_poll_passed is a load.
//
// Source. Linux: get_state_synchronize_rcu and its kin, include/linux/rcutree.h.
#pragma once

#include <cstdint>

#pragma GCC visibility push(default)

namespace nmircu {

// A moment, to be compared with the grace periods since. A cookie that was never assigned to has
// passed.
class rcu_cookie {
  public:
    constexpr rcu_cookie() noexcept = default;
    friend constexpr bool operator==(rcu_cookie, rcu_cookie) noexcept = default;

  private:
    constexpr explicit rcu_cookie(std::uint64_t number) noexcept : number_(number) {}
    friend rcu_cookie rcu_poll_state() noexcept;
    friend bool rcu_poll_passed(rcu_cookie) noexcept;
    friend void rcu_poll_wait(rcu_cookie) noexcept;

    std::uint64_t number_ = 0;
};

// A cookie for now. Starts nothing: it passes when others have had a grace period.
// Context: thread, signal, irq, nmi. Never blocks, never allocates.
[[nodiscard]] rcu_cookie rcu_poll_state() noexcept;

// A cookie for now, and a grace period in the background so that it passes by itself.
// Context: thread, signal, irq, nmi; in a thread the first use may create the reclaimer thread, as
// rcu_obj_base::retire does. Otherwise never blocks, never allocates.
[[nodiscard]] rcu_cookie rcu_poll_start() noexcept;

// Whether a whole grace period has passed since. Context: thread, signal, irq, nmi.
[[nodiscard]] bool rcu_poll_passed(rcu_cookie cookie) noexcept;

// Returns once it has; runs a grace period if need be. Context: thread only; blocks, unless the
// cookie has passed. Requires: outside any section, unless the cookie has passed; inside one it
// stops the program with a message.
void rcu_poll_wait(rcu_cookie cookie) noexcept;

}  // namespace nmircu

#pragma GCC visibility pop
