// SPDX-License-Identifier: MIT
//
// Masking IRQs on the calling thread: on Linux a count in the thread's own record, which the
// trampoline looks at (irq_vector.cpp). Inlined into the program. Context: any.
//
// `flags`, as passed between the two, are the count before, and whether an interrupt was being kept
// back already: then whoever interrupted a restore between its two steps leaves it to the restore.
#pragma once

#include <nmircu/arch/cpu.hpp>
#include <nmircu/detail/misuse.hpp>
#include <nmircu/platform/reader.hpp>

#pragma GCC visibility push(default)

namespace nmircu::platform {

// Takes what was kept back while this thread had IRQs masked, oldest first, and opens the lines
// again. Preserves errno.
[[gnu::cold]] void take_kept_interrupts() noexcept;

[[gnu::always_inline]] NMIRCU_NO_SANITIZE_NULL inline std::uint32_t mask_irqs() noexcept {
    detail::reader_state& self = this_reader();
    // Relaxed, in all of this file: written by this thread and its signals only.
    const std::uint32_t depth = __atomic_load_n(&self.irq_mask, __ATOMIC_RELAXED);
    const std::uint32_t flags = depth | __atomic_load_n(&self.irq_kept, __ATOMIC_RELAXED);
    __atomic_store_n(&self.irq_mask, depth + 1, __ATOMIC_RELAXED);
    // [IM-1] compiler fence against an interruption of this thread: the mask precedes everything
    // that it protects. Partner: [IM-4], src/platform/linux/irq_vector.cpp, on the same thread.
    // Weakened: a handler sees the region's data half changed.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    return flags;
}

[[gnu::always_inline]] NMIRCU_NO_SANITIZE_NULL inline void unmask_irqs(
    std::uint32_t flags) noexcept {
    detail::reader_state& self = this_reader();
    if constexpr (detail::checks_misuse) {
        if (__atomic_load_n(&self.irq_mask, __ATOMIC_RELAXED) == 0) [[unlikely]]
            detail::report_unmask(arch::code_address());
    }
    // [IM-2] compiler fence against an interruption of this thread: everything in the region
    // precedes its end. Partner: [IM-4], src/platform/linux/irq_vector.cpp, on the same thread.
    // Weakened: as [IM-1].
    std::atomic_signal_fence(std::memory_order_seq_cst);
    __atomic_store_n(&self.irq_mask, flags & ~detail::irq_kept_back, __ATOMIC_RELAXED);
    // [IM-3] compiler fence against an interruption of this thread: the end precedes the look.
    // Partner: [IM-4], src/platform/linux/irq_vector.cpp, on the same thread.
    // Weakened: what is kept back after the look waits for the next region.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (flags == 0 && __atomic_load_n(&self.irq_kept, __ATOMIC_RELAXED) != 0) [[unlikely]] {
        take_kept_interrupts();
    }
}

[[nodiscard]] NMIRCU_NO_SANITIZE_NULL inline bool irqs_are_masked() noexcept {
    return __atomic_load_n(&this_reader().irq_mask, __ATOMIC_RELAXED) != 0;
}

}  // namespace nmircu::platform

#pragma GCC visibility pop
