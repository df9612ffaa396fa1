// SPDX-License-Identifier: MIT
//
// The half of the interrupt sources that runs in the signal: which perf signals count, and how many
// timer expirations a signal stands for. It is the filter of signal_vector.hpp while sources exist;
// everything else about sources is in sources.hpp.
#pragma once

#include <csignal>
#include <cstdint>

namespace nmircu::platform {

// Whether one of our own signals is to be dispatched. Context: nmi; lock-free, bounded.
[[nodiscard]] bool accept_signal(const siginfo_t* info) noexcept;

// Whether the perf signal with this tag is to be dispatched. False only for the second of two
// events on one thread (source_perf.cpp says how there can be two): drop the signal, it is a
// duplicate of one that is dispatched; it has been counted. Context: nmi; lock-free, bounded.
[[nodiscard]] bool accept_perf_tag(std::uint64_t tag) noexcept;

// A timer's signal has arrived, standing for `merged` (siginfo's overrun) further expirations.
// Context: nmi; lock-free, bounded.
void note_timer_signal(int merged) noexcept;
// How many further expirations the timer signal that is handled stands for. Context: nmi.
[[nodiscard]] std::uint32_t merged_timer_signals() noexcept;
// The calling thread's first timer signal stands for so many further ones, whatever the kernel
// says. Context: thread.
void set_first_merged(std::uint32_t merged) noexcept;

// The rest is for sources.cpp and source_perf.cpp. Context: thread.

// Two tags were seen on one thread: `kept` is dispatched, `rejected` is not.
struct tag_conflict {
    std::uint32_t kept;  // signal_tag_thread of each
    std::uint32_t rejected;
};
inline constexpr unsigned most_tag_conflicts = 16;

// Lets every thread choose its tag afresh: a source started, or an event was closed.
void forget_perf_tags() noexcept;
// Moves the conflicts seen since the last call to `out`; returns how many. More than the array
// holds are seen again at their next signal.
unsigned take_tag_conflicts(tag_conflict (&out)[most_tag_conflicts]) noexcept;

void reset_source_counts() noexcept;
[[nodiscard]] std::uint64_t timer_overruns() noexcept;
[[nodiscard]] std::uint64_t duplicate_signals() noexcept;

}  // namespace nmircu::platform
