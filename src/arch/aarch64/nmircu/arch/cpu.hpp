// SPDX-License-Identifier: MIT
//
// Small things only the instruction set can say, AArch64.
#pragma once

#include <cstdint>

namespace nmircu::arch {

// The virtual counter (Arm ARM, CNTVCT_EL0): constant rate, readable from user space on Linux.
[[gnu::always_inline]] inline std::uint64_t cycle_counter() noexcept {
    std::uint64_t ticks;
    asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
}

[[gnu::always_inline]] inline void spin_hint() noexcept {
    asm volatile("yield");
}

[[gnu::always_inline]] inline const void* code_address() noexcept {
    const void* here;
    asm("adr %0, ." : "=r"(here));
    return here;
}

// Address dependencies order loads on Arm; nothing to do.
[[gnu::always_inline]] inline void dependent_load_barrier() noexcept {}

// bits = bits * 2 + (value == 0).
[[gnu::always_inline]] inline void append_whether_zero(std::uint64_t& bits, int value) noexcept {
    bits += bits + (value == 0);
}

}  // namespace nmircu::arch
