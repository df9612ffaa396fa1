// SPDX-License-Identifier: MIT
//
// DWARF expressions (DWARF 5, 2.5) as unwinding tables have them: signal frames, PLT stubs,
// realigned stacks. Every one ends: steps are bounded.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include <nmi/unwind/frame_row.hpp>
#include <nmi/unwind/stack_slice.hpp>

namespace nmircu::command {

// A frame's registers, and which of them are known.
struct register_values {
    std::array<std::uint64_t, most_registers> value{};
    std::uint64_t known = 0;  // bit per register

    [[nodiscard]] std::optional<std::uint64_t> get(std::uint64_t number) const {
        if (number >= most_registers || (known >> number & 1) == 0) return std::nullopt;
        return value[number];
    }
    void set(unsigned number, std::uint64_t to) {
        value[number] = to;
        known |= 1ull << number;
    }
};

// Why an expression, or a walk, came to nothing.
enum class evaluation_error { none, nonsense, unknown_register, outside_slice };

struct evaluation {
    std::uint64_t value = 0;
    evaluation_error error = evaluation_error::none;
    std::uint64_t address = 0;  // that was outside the slice
};

// `initial`: what is on the expression's stack when it begins.
evaluation evaluate(std::span<const std::uint8_t> expression, const register_values& registers,
                    const stack_slice& memory, std::optional<std::uint64_t> initial);

}  // namespace nmircu::command
