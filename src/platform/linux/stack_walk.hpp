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

}  // namespace nmircu::platform
