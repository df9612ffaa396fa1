// SPDX-License-Identifier: MIT
//
// Where Linux keeps the interrupted registers in a signal frame, x86-64.
#pragma once

#include <ucontext.h>

#include <cstdint>

namespace nmircu::arch {

inline std::uintptr_t instruction_pointer(const ucontext_t& context) noexcept {
    return static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RIP]);
}
inline std::uintptr_t stack_pointer(const ucontext_t& context) noexcept {
    return static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RSP]);
}
inline std::uintptr_t frame_pointer(const ucontext_t& context) noexcept {
    return static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RBP]);
}

// The three above, in a context that is made up.
inline void set_registers(ucontext_t& context, std::uintptr_t instruction, std::uintptr_t stack,
                          std::uintptr_t frame) noexcept {
    context.uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(instruction);
    context.uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(stack);
    context.uc_mcontext.gregs[REG_RBP] = static_cast<greg_t>(frame);
}

}  // namespace nmircu::arch
