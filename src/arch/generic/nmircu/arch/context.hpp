// SPDX-License-Identifier: MIT
//
// Where Linux keeps the interrupted registers, for builds that avoid the architecture's assembly
// (ThreadSanitizer) but run on a known one; elsewhere, zeros: dispatch works, stacks are empty.
#pragma once

#include <ucontext.h>

#include <cstdint>

#if defined(__x86_64__)
#include "../../../x86_64/nmircu/arch/context.hpp"
#elif defined(__aarch64__)
#include "../../../aarch64/nmircu/arch/context.hpp"
#else
namespace nmircu::arch {
inline std::uintptr_t instruction_pointer(const ucontext_t&) noexcept {
    return 0;
}
inline std::uintptr_t stack_pointer(const ucontext_t&) noexcept {
    return 0;
}
inline std::uintptr_t frame_pointer(const ucontext_t&) noexcept {
    return 0;
}
inline constexpr unsigned dwarf_register_count = 0;
inline void dwarf_registers(const ucontext_t&, std::uint64_t*) noexcept {}
inline void set_registers(ucontext_t&, std::uintptr_t, std::uintptr_t, std::uintptr_t) noexcept {}
}  // namespace nmircu::arch
#endif
