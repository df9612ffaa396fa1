// SPDX-License-Identifier: MIT
//
// The return addresses of an interrupted thread by its frame pointers, read without trusting any of
// them: code built without frame pointers leaves anything in that register. Context: nmi, any
// thread, any stack; takes no lock, allocates nothing, preserves errno.
#pragma once

#include <cstdint>

#include <nmircu/nmi.hpp>

namespace nmircu::platform {

inline constexpr std::uint32_t most_frames = 1024;
// A chain that leads further than this from the stack pointer, or over a frame larger than that, is
// no chain.
inline constexpr std::uintptr_t most_stack_bytes = std::uintptr_t{8} << 20;
inline constexpr std::uintptr_t most_frame_bytes = std::uintptr_t{512} << 10;

// Writes at most `most` (at most most_frames) addresses, innermost first, the interrupted
// instruction itself as element 0; returns how many. Stops at the first frame that is not aligned,
// not above the one before, too far away, not readable, or without a return address.
std::uint32_t walk_stack(const pt_regs* regs, std::uintptr_t* addresses,
                         std::uint32_t most) noexcept;

// The same from three register values; for those who have them from elsewhere, and for tests.
std::uint32_t walk_stack(std::uintptr_t instruction, std::uintptr_t stack, std::uintptr_t frame,
                         std::uintptr_t* addresses, std::uint32_t most) noexcept;

// outermost: where the thread began, as far as that can be told: a frame pointer of 0, or a frame
// where the first ones of the thread's stack are. limit: there would have been more. badly:
// neither.
enum class walk_end : std::uint8_t { outermost, limit, badly };

// The same two, saying how it ended.
std::uint32_t walk_stack(const pt_regs* regs, std::uintptr_t* addresses, std::uint32_t most,
                         walk_end& end) noexcept;
std::uint32_t walk_stack(std::uintptr_t instruction, std::uintptr_t stack, std::uintptr_t frame,
                         std::uintptr_t* addresses, std::uint32_t most, walk_end& end) noexcept;

// Called at the beginning of a thread that pthread_create made: how far below its pthread_t the
// frames begin. It is the same for every thread, as between the two lies what all have, and is not
// known until somebody has called. Context: thread.
void learn_first_frame() noexcept;

// How many bytes (a multiple of 8, at most `most`) can be read from `stack` upwards: up to where
// the running thread's stack is known to end, or memory does. `ends`: that is less than `most`.
std::uint32_t stack_extent(std::uintptr_t stack, std::uint32_t most, bool& ends) noexcept;
// Copies what stack_extent has granted.
void copy_stack(std::uintptr_t stack, void* out, std::uint32_t bytes) noexcept;

}  // namespace nmircu::platform
