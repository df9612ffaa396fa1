// SPDX-License-Identifier: MIT
//
// The reclaimer thread: how it comes to be, sleeps, is woken, and holds up those who retire more
// than it can reclaim.
#pragma once

#include "rcu/reclaim.hpp"

namespace nmircu::rcu {

// What a retiring thread has to attend to beyond its push; zero while all is well.
//   asleep   nobody will look at the lists unless woken: the reclaimer sleeps or does not exist
//   crowded  more objects wait than the limit
//   wanted   something was retired in a handler while there was no reclaimer
inline constexpr std::uint32_t asleep = 1, crowded = 2, wanted = 4;
extern constinit std::atomic<std::uint32_t> attention;

// After a push that found `attention` not zero, or the `retired_before_look`-th push. Any context.
void attend(const detail::reader_state& self) noexcept;
void look_at_backlog(const detail::reader_state& self) noexcept;
// A mask; a look sums over all CPUs, so it is rarer where there are many. Any context.
[[nodiscard]] std::uint32_t looks_mask() noexcept;

// After deleters have run: lets go on who was held up, if there is room. Thread context.
void give_room() noexcept;

// Asks for a grace period up to this number. Any context.
void want_grace_period(grace_period_number number) noexcept;

// Thread context: makes up for a handler that wanted a reclaimer.
void start_if_wanted() noexcept;

// Whether this thread may wait for others: it is outside sections, handlers and deleters.
[[nodiscard]] bool may_block(const detail::reader_state& self) noexcept;

// Thread context, at the start: as leave_lists_unchecked.
void leave_reclaimer_unchecked() noexcept;

// In a forked child.
void forget_reclaimer_in_child() noexcept;

}  // namespace nmircu::rcu
