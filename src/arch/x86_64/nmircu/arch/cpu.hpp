// SPDX-License-Identifier: MIT
//
// Small things only the instruction set can say, x86-64.
#pragma once

#include <cstdint>

namespace nmircu::arch {

// A free-running counter, cheap enough to read around a handler. Invariant on every CPU the kernel
// calls constant_tsc and nonstop_tsc (SDM volume 3, section 18.17.1). Not a fence.
[[gnu::always_inline]] inline std::uint64_t cycle_counter() noexcept {
    return __builtin_ia32_rdtsc();
}

// Tells a sibling hardware thread that this one spins (SDM volume 2, PAUSE).
[[gnu::always_inline]] inline void spin_hint() noexcept {
    __builtin_ia32_pause();
}

// The address of the instruction at the call, for reports.
[[gnu::always_inline]] inline const void* code_address() noexcept {
    const void* here;
    asm("leaq 0(%%rip), %0" : "=r"(here));
    return here;
}

// What rcu_dereference needs beyond a plain load: nothing here. Only Alpha reorders a load after
// the load that its address depends on.
[[gnu::always_inline]] inline void dependent_load_barrier() noexcept {}

// bits = bits * 2 + (value == 0): the carry of a comparison with 1 (SDM volume 2, CMP, ADC), which
// compilers do not find.
[[gnu::always_inline]] inline void append_whether_zero(std::uint64_t& bits, int value) noexcept {
    asm("cmpl $1, %1\n\tadcq %0, %0" : "+r"(bits) : "r"(value) : "cc");
}

}  // namespace nmircu::arch
