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

// In the order of their DWARF numbers: System V ABI, AMD64 supplement, figure 3.36.
inline constexpr unsigned dwarf_register_count = 17;
inline void dwarf_registers(const ucontext_t& context, std::uint64_t* out) noexcept {
    constexpr int order[dwarf_register_count] = {
        REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP, REG_R8,
        REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
    for (unsigned i = 0; i < dwarf_register_count; ++i)
        out[i] = static_cast<std::uint64_t>(context.uc_mcontext.gregs[order[i]]);
}

// The first three, in a context that is made up.
inline void set_registers(ucontext_t& context, std::uintptr_t instruction, std::uintptr_t stack,
                          std::uintptr_t frame) noexcept {
    context.uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(instruction);
    context.uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(stack);
    context.uc_mcontext.gregs[REG_RBP] = static_cast<greg_t>(frame);
}

}  // namespace nmircu::arch
