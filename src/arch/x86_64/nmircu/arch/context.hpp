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

}  // namespace nmircu::arch
