// SPDX-License-Identifier: MIT
//
// What the wall source's sampler (source_wall.cpp) and the signals it sends tell each other: a slot
// per thread, named by the signal's tag. The slots are part of the program's image and stay, so a
// signal that arrives late finds one that is not its thread's any more and is dropped.
//
//   field          written by                          read by
//   thread_id      sampler                             both
//   state          both, see slot_state                both
//   merged         sampler adds, signal takes          both
//   off_cpu        sampler, before it sends            signal
//   taken_merged   signal                              signal
//   the rest       signal, before `standing`           sampler, after it has seen `standing`
#pragma once

#include <atomic>
#include <csignal>
#include <cstdint>

#include <nmircu/nmi.hpp>

#include "platform/linux/signal_tag.hpp"

namespace nmircu::platform {

// nothing -> sent (sampler) -> nothing (signal) -> standing (signal) -> sent (sampler)
enum class slot_state : std::uint32_t { nothing, sent, standing };

struct alignas(64) wall_slot {
    std::atomic<std::uint32_t> thread_id;  // 0: free
    std::atomic<slot_state> state;
    std::atomic<std::uint32_t> merged;        // ticks the signal under way stands for beyond one
    std::atomic<std::uint32_t> off_cpu;       // the thread was blocked when it was sent
    std::atomic<std::uint32_t> taken_merged;  // of the signal that is handled
    std::atomic<std::uint32_t> epoch;         // wall_epoch when it began to stand
    std::atomic<std::uint64_t> cpu_ns;       // the thread's CPU time, as the signal's handler ended
    std::atomic<std::uint64_t> instruction;  // where the thread was
    std::atomic<std::uint64_t> stack;
};
inline constexpr std::uint32_t most_wall_threads = 16384;

wall_slot& wall_slot_at(std::uint32_t index) noexcept;
// Empties all of them and gives their memory back. Context: thread; no sampler runs.
void clear_wall_slots() noexcept;

// The lower half of the tag of a signal to the thread of that slot.
constexpr std::uint32_t wall_tag(std::uint32_t slot) noexcept {
    return wall_tag_bit | slot;
}

// What a source knows of an interrupt: how many further ones were merged into it, and whether the
// thread was blocked. Context: nmi.
struct interrupt_facts {
    std::uint32_t merged;
    bool off_cpu;
};
[[nodiscard]] interrupt_facts facts_of(const pt_regs* regs) noexcept;

// Whether the signal, one of ours and queued, is to be dispatched: false if it is the wall source's
// and not for the thread as it is now. Context: nmi; lock-free, bounded.
[[nodiscard]] bool accept_queued_signal(const siginfo_t* info) noexcept;

// What the interrupted thread was found at is true until it runs again. Only of the wall source's
// interrupts of blocked threads; else nothing happens. Context: nmi.
void sample_stands(const pt_regs* regs) noexcept;

// What stood stands no more: whoever recorded it is gone. Any context.
void forget_standing_samples() noexcept;
[[nodiscard]] std::uint32_t wall_epoch() noexcept;

// Whether the wall source looks at threads that have not run for a second: as often as `true` was
// said and not taken back by `false`. Any context.
void want_idle_threads(bool wanted) noexcept;
[[nodiscard]] bool idle_threads_wanted() noexcept;
void forget_wanted_idle_threads() noexcept;

}  // namespace nmircu::platform
