// SPDX-License-Identifier: MIT
//
// What is known of an interrupted thread: its registers and a slice of its stack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace nmircu::command {

struct stack_slice {
    std::span<const std::uint64_t> registers;  // DWARF numbering
    std::uint64_t stack_pointer;               // address of the first byte of `stack`
    std::span<const std::byte> stack;

    // `bytes` (1..8) at `address` as a number; nothing if they are not in the slice.
    [[nodiscard]] std::optional<std::uint64_t> read(std::uint64_t address, unsigned bytes) const {
        const std::uint64_t at = address - stack_pointer;
        if (address < stack_pointer || at > stack.size() || stack.size() - at < bytes)
            return std::nullopt;
        std::uint64_t value = 0;
        std::memcpy(&value, stack.data() + at, bytes);
        return value;
    }
    [[nodiscard]] bool is_beyond(std::uint64_t address) const {
        return address >= stack_pointer && address - stack_pointer + 8 > stack.size();
    }
};

}  // namespace nmircu::command
