// SPDX-License-Identifier: MIT
//
// Runs the program of an entry of .eh_frame; see frame_row.hpp. libdw has such an interpreter, but
// that one asserts, and allocates, what the file says.
#include <nmi/unwind/frame_row.hpp>

#include <vector>

#include <dwarf.h>

#include <nmi/symbols/byte_cursor.hpp>

namespace nmircu::command {
namespace {

using kind = register_rule::kind;

constexpr std::size_t most_remembered = 32;  // compilers nest one or two
constexpr unsigned primary_opcode = 0xc0;

struct rules {
    frame_address_rule frame_address;
    std::array<register_rule, most_registers> registers;
};

class interpreter {
  public:
    interpreter(const frame_common& common, std::uint64_t begin, std::uint64_t end,
                std::uint64_t wanted)
        : common_(common), begin_(begin), end_(end), location_(begin), wanted_(wanted) {}

    // The rules that are in force after the program, or when it has passed the wanted address.
    bool run(std::span<const std::uint8_t> program) {
        byte_cursor in(program);
        while (!in.done() && !passed_) {
            if (!step(in)) return false;
        }
        return in.good();
    }
    void set_initial() { initial_ = now_; }

    [[nodiscard]] const rules& now() const { return now_; }
    [[nodiscard]] std::uint64_t begin() const { return begin_; }
    [[nodiscard]] std::uint64_t end() const { return end_; }

  private:
    void advance_to(std::uint64_t location) {
        location_ = location;
        if (location > wanted_) {
            end_ = location < end_ ? location : end_;
            passed_ = true;
        } else {
            begin_ = location;
        }
    }
    void advance(std::uint64_t units) { advance_to(location_ + units * common_.code_alignment); }

    void set(std::uint64_t number, kind how, std::int64_t value = 0,
             std::span<const std::uint8_t> expression = {}) {
        if (number < most_registers) now_.registers[number] = {how, value, expression};
    }
    void restore(std::uint64_t number) {
        if (number < most_registers) now_.registers[number] = initial_.registers[number];
    }
    std::int64_t scaled(std::int64_t value) const {
        return static_cast<std::int64_t>(static_cast<std::uint64_t>(value) *
                                         static_cast<std::uint64_t>(common_.data_alignment));
    }
    std::int64_t unsigned_offset(byte_cursor& in) const {
        return scaled(static_cast<std::int64_t>(in.uleb()));
    }
    std::int64_t signed_offset(byte_cursor& in) const { return scaled(in.sleb()); }
    static unsigned register_number(byte_cursor& in) {
        const std::uint64_t number = in.uleb();
        return number < most_registers ? static_cast<unsigned>(number) : most_registers;
    }

    bool step(byte_cursor& in) {
        const std::uint8_t opcode = in.byte();
        const unsigned operand = opcode & ~primary_opcode;
        switch (opcode & primary_opcode) {
            case DW_CFA_advance_loc:
                advance(operand);
                return true;
            case DW_CFA_offset:
                set(operand, kind::at_offset, unsigned_offset(in));
                return true;
            case DW_CFA_restore:
                restore(operand);
                return true;
            default:
                return move(opcode, in) || frame(opcode, in) || single(opcode, in);
        }
    }

    bool move(std::uint8_t opcode, byte_cursor& in) {
        switch (opcode) {
            case DW_CFA_nop:
                return true;
            case DW_CFA_advance_loc1:
                advance(in.fixed(1));
                return true;
            case DW_CFA_advance_loc2:
                advance(in.fixed(2));
                return true;
            case DW_CFA_advance_loc4:
                advance(in.fixed(4));
                return true;
            case DW_CFA_GNU_args_size:
                in.uleb();
                return true;
            case DW_CFA_remember_state:
                remembered_.push_back(now_);
                return remembered_.size() <= most_remembered;
            case DW_CFA_restore_state:
                if (remembered_.empty()) return false;
                now_ = remembered_.back();
                remembered_.pop_back();
                return true;
            default:
                return false;
        }
    }

    bool frame(std::uint8_t opcode, byte_cursor& in) {
        frame_address_rule& rule = now_.frame_address;
        switch (opcode) {
            case DW_CFA_def_cfa:
                rule.base_register = register_number(in);
                rule.offset = static_cast<std::int64_t>(in.uleb());
                rule.expression = {};
                return true;
            case DW_CFA_def_cfa_sf:
                rule.base_register = register_number(in);
                rule.offset = signed_offset(in);
                rule.expression = {};
                return true;
            case DW_CFA_def_cfa_register:
                rule.base_register = register_number(in);
                return rule.expression.empty();
            case DW_CFA_def_cfa_offset:
                rule.offset = static_cast<std::int64_t>(in.uleb());
                return rule.expression.empty();
            case DW_CFA_def_cfa_offset_sf:
                rule.offset = signed_offset(in);
                return rule.expression.empty();
            case DW_CFA_def_cfa_expression:
                rule.expression = in.bytes(in.uleb());
                return !rule.expression.empty();
            default:
                return false;
        }
    }

    bool single(std::uint8_t opcode, byte_cursor& in) {
        if (opcode == DW_CFA_GNU_window_save) return true;  // AArch64: signing of return addresses
        const std::uint64_t number = in.uleb();
        switch (opcode) {
            case DW_CFA_undefined:
                set(number, kind::undefined);
                return true;
            case DW_CFA_same_value:
                set(number, kind::same);
                return true;
            case DW_CFA_restore_extended:
                restore(number);
                return true;
            case DW_CFA_offset_extended:
                set(number, kind::at_offset, unsigned_offset(in));
                return true;
            case DW_CFA_offset_extended_sf:
                set(number, kind::at_offset, signed_offset(in));
                return true;
            case DW_CFA_GNU_negative_offset_extended:
                set(number, kind::at_offset, -unsigned_offset(in));
                return true;
            case DW_CFA_val_offset:
                set(number, kind::offset_itself, unsigned_offset(in));
                return true;
            case DW_CFA_val_offset_sf:
                set(number, kind::offset_itself, signed_offset(in));
                return true;
            case DW_CFA_register:
                set(number, kind::other_register, register_number(in));
                return true;
            case DW_CFA_expression:
                set(number, kind::at_expression, 0, in.bytes(in.uleb()));
                return true;
            case DW_CFA_val_expression:
                set(number, kind::expression_itself, 0, in.bytes(in.uleb()));
                return true;
            default:
                return false;  // DW_CFA_set_loc too: no assembler writes it
        }
    }

    const frame_common& common_;
    std::uint64_t begin_, end_, location_, wanted_;
    bool passed_ = false;
    rules now_;
    rules initial_;
    std::vector<rules> remembered_;
};

}  // namespace

std::optional<frame_row> row_at(const frame_common& common, const frame_entry& entry,
                                std::uint64_t address) {
    interpreter program(common, entry.begin, entry.end, address);
    if (!program.run(common.program)) return std::nullopt;
    program.set_initial();
    if (!program.run(entry.program)) return std::nullopt;
    frame_row row;
    row.begin = program.begin();
    row.end = program.end();
    row.return_column = common.return_column;
    row.signal_frame = common.signal_frame;
    row.frame_address = program.now().frame_address;
    row.registers = program.now().registers;
    for (unsigned number = 0; number < most_registers; ++number) {
        if (row.registers[number].how != kind::same) row.changed |= 1ull << number;
    }
    return row;
}

}  // namespace nmircu::command
