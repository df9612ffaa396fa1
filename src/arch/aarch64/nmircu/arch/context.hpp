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

// In the order of their DWARF numbers: DWARF for the Arm 64-bit Architecture, section 4.1.
inline constexpr unsigned dwarf_register_count = 33;
inline void dwarf_registers(const ucontext_t& context, std::uint64_t* out) noexcept {
    for (unsigned i = 0; i < 31; ++i)
        out[i] = context.uc_mcontext.regs[i];
    out[31] = context.uc_mcontext.sp;
    out[32] = context.uc_mcontext.pc;
}

// The first three, in a context that is made up.
inline void set_registers(ucontext_t& context, std::uintptr_t instruction, std::uintptr_t stack,
                          std::uintptr_t frame) noexcept {
    context.uc_mcontext.pc = instruction;
    context.uc_mcontext.sp = stack;
    context.uc_mcontext.regs[29] = frame;
}

}  // namespace nmircu::arch
