// SPDX-License-Identifier: MIT
//
// Where Linux keeps the interrupted registers in a signal frame, AArch64.
#pragma once

#include <ucontext.h>

#include <cstdint>

namespace nmircu::arch {

inline std::uintptr_t instruction_pointer(const ucontext_t& context) noexcept {
    return context.uc_mcontext.pc;
}
inline std::uintptr_t stack_pointer(const ucontext_t& context) noexcept {
    return context.uc_mcontext.sp;
}
inline std::uintptr_t frame_pointer(const ucontext_t& context) noexcept {
    return context.uc_mcontext.regs[29];
}

// The three above, in a context that is made up.
inline void set_registers(ucontext_t& context, std::uintptr_t instruction, std::uintptr_t stack,
                          std::uintptr_t frame) noexcept {
    context.uc_mcontext.pc = instruction;
    context.uc_mcontext.sp = stack;
    context.uc_mcontext.regs[29] = frame;
}

}  // namespace nmircu::arch
