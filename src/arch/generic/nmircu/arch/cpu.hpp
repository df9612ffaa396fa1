// SPDX-License-Identifier: MIT
//
// Small things only the instruction set can say, in portable terms.
#pragma once

#include <time.h>

#include <atomic>
#include <cstdint>

#include <nmircu/arch/dependent_load.h>

namespace nmircu::arch {

// Nanoseconds stand in for cycles.
inline std::uint64_t cycle_counter() noexcept {
    timespec now;
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return std::uint64_t(now.tv_sec) * 1'000'000'000 + std::uint64_t(now.tv_nsec);
}

inline void spin_hint() noexcept {}

[[gnu::noinline]] inline const void* code_address() noexcept {
    return __builtin_return_address(0);
}

[[gnu::always_inline]] inline void dependent_load_barrier() noexcept {
    nmircu_dependent_load_barrier();
}

// bits = bits * 2 + (value == 0).
[[gnu::always_inline]] inline void append_whether_zero(std::uint64_t& bits, int value) noexcept {
    bits += bits + (value == 0);
}

}  // namespace nmircu::arch
