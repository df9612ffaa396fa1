// SPDX-License-Identifier: MIT
//
// How to get from a frame to its caller's, valid for a range of code: what an entry of .eh_frame
// says of one address once its program (DWARF 5, 6.4) has been run. Addresses are those of the
// file.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include <nmi/symbols/frame_entries.hpp>

namespace nmircu::command {

// DWARF register numbers below this are followed; the rest (vector registers) is never needed.
inline constexpr unsigned most_registers = 34;

struct register_rule {
    enum class kind : std::uint8_t {
        same,            // as in the inner frame, also if nothing is said of it
        undefined,       // lost; of the return address: there is no caller
        at_offset,       // in memory at CFA + value
        offset_itself,   // is CFA + value
        other_register,  // is in register `value`
        at_expression,   // in memory where the expression says
        expression_itself,
    };
    kind how = kind::same;
    std::int64_t value = 0;
    std::span<const std::uint8_t> expression;
};

// The canonical frame address, the caller's stack pointer: a register plus an offset, or, if it is
// not empty, what the expression says.
struct frame_address_rule {
    unsigned base_register = most_registers;
    std::int64_t offset = 0;
    std::span<const std::uint8_t> expression;
};

struct frame_row {
    std::uint64_t begin = 0, end = 0;
    unsigned return_column = 0;
    bool signal_frame = false;
    frame_address_rule frame_address;
    std::array<register_rule, most_registers> registers;
    std::uint64_t changed = 0;  // bit per register whose rule is not `same`
};

// The row for `address`, which lies in the entry. Nothing if the program makes no sense.
std::optional<frame_row> row_at(const frame_common& common, const frame_entry& entry,
                                std::uint64_t address);

}  // namespace nmircu::command
