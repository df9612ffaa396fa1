// SPDX-License-Identifier: MIT
//
// Masking IRQs on the running CPU: the interrupt flag (SDM volume 3, section 6.8.1). What arrives
// meanwhile waits in the local APIC. Inlined. Context: any.
//
// `flags`, as passed between the two, is the interrupt flag before.
#pragma once

#include <cstdint>

#include <nmircu/arch/cpu.hpp>
#include <nmircu/detail/misuse.hpp>
#include <nmircu/platform/reader.hpp>

namespace nmircu::platform {

// RFLAGS.IF, SDM volume 1, figure 3-8.
inline constexpr std::uint32_t interrupt_flag = 1u << 9;

[[nodiscard, gnu::always_inline]] inline std::uint32_t read_irq_mask() noexcept {
    std::uint64_t flags;
    asm volatile("pushfq\n\tpopq %0" : "=r"(flags) : : "memory");
    return static_cast<std::uint32_t>(flags) & interrupt_flag;
}

// The asm is a compiler barrier: what the region protects stays inside.
[[gnu::always_inline]] inline std::uint32_t mask_irqs() noexcept {
    const std::uint32_t flags = read_irq_mask();
    asm volatile("cli" : : : "memory");
    return flags;
}

[[gnu::always_inline]] inline void unmask_irqs(std::uint32_t flags) noexcept {
    if constexpr (detail::checks_misuse) {
        if (read_irq_mask() != 0) [[unlikely]]
            detail::report_unmask(arch::code_address());
    }
    if (flags != 0) asm volatile("sti" : : : "memory");
}

[[nodiscard]] inline bool irqs_are_masked() noexcept {
    return read_irq_mask() == 0;
}

}  // namespace nmircu::platform
