// SPDX-License-Identifier: MIT
#include "platform/baremetal/user_mode.hpp"

#include <nmircu/platform/irq_mask.hpp>

#include "platform/baremetal/instructions.hpp"
#include "platform/baremetal/layout.h"

extern "C" std::uint64_t nmircu_enter_user(std::uintptr_t instruction, std::uintptr_t stack,
                                           std::uint64_t argument);
extern "C" const unsigned char syscall_entry[];

namespace nmircu::baremetal {

namespace {

// SDM volume 2, SYSCALL: what it clears in RFLAGS. TF, IF, DF, AC.
constexpr std::uint64_t masked_flags = 1 << 8 | 1 << 9 | 1 << 10 | 1 << 18;

constinit syscall_t handler = nullptr;

}  // namespace

void start_user_mode() noexcept {
    wrmsr(IA32_STAR,
          std::uint64_t{SELECTOR_CODE} << 32 | std::uint64_t{SELECTOR_USER_DATA - 8} << 48);
    wrmsr(IA32_LSTAR, reinterpret_cast<std::uintptr_t>(syscall_entry));
    wrmsr(IA32_FMASK, masked_flags);
}

void set_syscall(syscall_t function) noexcept {
    handler = function;
}

std::uint64_t run_in_user_mode(std::uintptr_t instruction, std::uintptr_t stack_top,
                               std::uint64_t argument, std::uint64_t gs_base) noexcept {
    const std::uint32_t flags = platform::mask_irqs();
    wrmsr(IA32_KERNEL_GS_BASE, gs_base);
    const std::uint64_t result = nmircu_enter_user(instruction, stack_top, argument);
    platform::unmask_irqs(flags);
    return result;
}

}  // namespace nmircu::baremetal

extern "C" std::uint64_t nmircu_take_syscall(std::uint64_t number, std::uint64_t argument) {
    using nmircu::baremetal::handler;
    return handler == nullptr ? ~std::uint64_t{0} : handler(number, argument);
}
