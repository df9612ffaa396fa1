// SPDX-License-Identifier: MIT
//
// Standard signals that merge: POSIX keeps at most one of a kind for a thread and one for the
// process. What irq_vector.cpp keeps back is pending as far as the program can tell, and has to
// merge with what the kernel keeps behind it. Context: the signal's handler, or a thread that has
// the signal blocked. errno may change.
#pragma once

#include <csignal>

namespace nmircu::platform {

// Whether the second of the two would have been lost in the first, had both been pending: both were
// sent to the process, or both to the thread. A siginfo tells these apart by how a signal was sent;
// where it does not (sigqueue and pthread_sigqueue, timers), two that were sent the same way are
// taken for one.
[[nodiscard]] bool are_one(const siginfo_t& first, const siginfo_t& second) noexcept;

// Drops from what is pending the one that merges with `first`, which arrived before it and has not
// been handled yet. False: one was lost, as the kernel would not take back what was looked at.
bool merge_pending(const siginfo_t& first) noexcept;

}  // namespace nmircu::platform
