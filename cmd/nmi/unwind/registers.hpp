// SPDX-License-Identifier: MIT
//
// Which DWARF register is which, by machine: x86-64 and AArch64 psABI.
#pragma once

#include <cstddef>
#include <optional>

namespace nmircu::command {

struct special_registers {
    unsigned stack_pointer, frame_pointer, instruction;
};

// By how many registers a sample has (module.h, struct nmi_stack_sample).
inline std::optional<special_registers> special_registers_of(std::size_t register_count) {
    constexpr std::size_t x86_64 = 17;
    constexpr std::size_t aarch64 = 33;
    if (register_count == x86_64) return special_registers{7, 6, 16};
    if (register_count == aarch64) return special_registers{31, 29, 32};
    return std::nullopt;
}

}  // namespace nmircu::command
