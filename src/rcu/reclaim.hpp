// SPDX-License-Identifier: MIT
//
// Reclaiming what has been retired: one cycle takes everything, waits for one grace period and runs
// the deleters. Whoever holds the lock runs it: the reclaimer thread, a thread in rcu_barrier, or
// the end of the program. How the thread sleeps and is woken is reclaimer.hpp.
#pragma once

#include "rcu/retired_lists.hpp"

namespace nmircu::rcu {

// Sums for people, and for back-pressure. Any context. To be read in this order (I5); the first is
// an acquire, so that whoever finds nothing left also sees what the deleters did.
[[nodiscard]] std::uint64_t reclaimed_count() noexcept;
[[nodiscard]] std::uint64_t retired_count() noexcept;
[[nodiscard]] std::uint64_t backlog_peak() noexcept;
// Retired and not reclaimed: never less than what was retired before the call, but a caller that is
// preempted in between may see much more. Any context.
[[nodiscard]] std::uint64_t backlog() noexcept;
// The same, never more than there was at some moment during the call. Any context.
[[nodiscard]] std::uint64_t backlog_at_least() noexcept;
// Keeps the peak. Any context.
void note_backlog(std::uint64_t objects) noexcept;

// One cycle: at least everything retired before the call is reclaimed. False: `most_ns` have passed
// before it could be. Thread context, outside sections and deleters.
bool reclaim_everything(std::uint64_t most_ns = platform::forever_ns) noexcept;

// As rcu_barrier: shares cycles with others. False: `most_ns` have passed.
bool wait_until_reclaimed(std::uint64_t most_ns = platform::forever_ns) noexcept;

// Thread context, at the start: race checkers that do not know atomics are not to look at this
// folder's variables. A new one that threads share belongs into one of these functions too.
void leave_lists_unchecked() noexcept;

// Parts of the engine's three fork hooks; contexts as in detail/lifecycle.hpp.
void hold_for_fork() noexcept;
void release_after_fork() noexcept;
void adopt_backlog_in_child() noexcept;

}  // namespace nmircu::rcu
