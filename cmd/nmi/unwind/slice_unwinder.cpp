// SPDX-License-Identifier: MIT
//
// From frame to frame; see slice_unwinder.hpp.
#include <nmi/unwind/slice_unwinder.hpp>

#include <bit>
#include <utility>

#include <fmt/format.h>
#include <nmi/unwind/registers.hpp>

namespace nmircu::command {
namespace {

using kind = register_rule::kind;

struct step_result {
    std::optional<walk_end> end;  // none: there is a caller
    std::uint64_t caller = 0;     // its instruction
};

walk_end end_of(const evaluation& failed, const stack_slice& slice) {
    switch (failed.error) {
        case evaluation_error::unknown_register:
            return walk_end::unknown_register;
        case evaluation_error::outside_slice:
            return slice.is_beyond(failed.address) ? walk_end::beyond_slice : walk_end::bad_rules;
        default:
            return walk_end::bad_rules;
    }
}

evaluation word_at(const stack_slice& slice, std::uint64_t address) {
    const std::optional<std::uint64_t> word = slice.read(address, 8);
    if (word) return {*word};
    return {0, evaluation_error::outside_slice, address};
}

evaluation frame_address(const frame_address_rule& rule, const register_values& registers,
                         const stack_slice& slice) {
    if (!rule.expression.empty()) return evaluate(rule.expression, registers, slice, std::nullopt);
    const std::optional<std::uint64_t> base = registers.get(rule.base_register);
    if (!base) return {0, evaluation_error::unknown_register};
    return {*base + static_cast<std::uint64_t>(rule.offset)};
}

// What the caller had in a register. `undefined` is the business of who asks.
evaluation value_of(const register_rule& rule, std::uint64_t frame_address,
                    const register_values& inner, const stack_slice& slice) {
    const std::uint64_t sum = frame_address + static_cast<std::uint64_t>(rule.value);
    switch (rule.how) {
        case kind::at_offset:
            return word_at(slice, sum);
        case kind::offset_itself:
            return {sum};
        case kind::at_expression: {
            const evaluation address = evaluate(rule.expression, inner, slice, frame_address);
            return address.error == evaluation_error::none ? word_at(slice, address.value)
                                                           : address;
        }
        case kind::expression_itself:
            return evaluate(rule.expression, inner, slice, frame_address);
        default: {
            const std::optional<std::uint64_t> value =
                inner.get(static_cast<std::uint64_t>(rule.value));
            return value ? evaluation{*value} : evaluation{0, evaluation_error::unknown_register};
        }
    }
}

// Turns the registers of a frame into its caller's.
step_result step(const frame_row& row, const special_registers& special, register_values& registers,
                 const stack_slice& slice) {
    const evaluation cfa = frame_address(row.frame_address, registers, slice);
    if (cfa.error != evaluation_error::none) return {end_of(cfa, slice)};
    if (row.return_column >= most_registers) return {walk_end::bad_rules};
    const register_values inner = registers;
    registers.set(special.stack_pointer, cfa.value);
    for (std::uint64_t left = row.changed; left != 0; left &= left - 1) {
        const auto number = static_cast<unsigned>(std::countr_zero(left));
        const register_rule& rule = row.registers[number];
        if (rule.how == kind::undefined) {
            if (number == row.return_column) return {walk_end::outermost};
            registers.known &= ~(1ull << number);
            continue;
        }
        const evaluation value = value_of(rule, cfa.value, inner, slice);
        if (value.error == evaluation_error::none) {
            registers.set(number, value.value);
        } else if (number == row.return_column) {
            return {end_of(value, slice)};
        } else if (value.error == evaluation_error::outside_slice &&
                   value.address < slice.stack_pointer) {
            // Saved below the stack pointer: popped already, the register has its old value again.
            continue;
        } else {
            registers.known &= ~(1ull << number);  // matters only if somebody needs it
        }
    }
    const std::optional<std::uint64_t> caller = registers.get(row.return_column);
    if (!caller) return {walk_end::unknown_register};
    return {std::nullopt, *caller};
}

// Where there are no tables, code made at run time for example, many keep a frame pointer.
step_result step_by_frame_pointer(const special_registers& special, register_values& registers,
                                  const stack_slice& slice) {
    const std::optional<std::uint64_t> frame = registers.get(special.frame_pointer);
    const std::optional<std::uint64_t> stack = registers.get(special.stack_pointer);
    if (!frame || !stack || *frame < *stack || *frame % 8 != 0) return {walk_end::no_rules};
    const std::optional<std::uint64_t> outer = slice.read(*frame, 8);
    const std::optional<std::uint64_t> caller = slice.read(*frame + 8, 8);
    if (!outer || !caller) return {walk_end::no_rules};
    registers.known = 0;
    registers.set(special.frame_pointer, *outer);
    registers.set(special.stack_pointer, *frame + 16);
    return {std::nullopt, *caller};
}

}  // namespace

const char* name_of(walk_end end) {
    static constexpr const char* names[walk_ends] = {
        "up to the outermost frame",  "more frames than the limit",
        "stack beyond its copy",      "return address outside code",
        "code without unwind tables", "unwind tables that make no sense",
        "register not saved",         "frames that do not grow",
    };
    return names[static_cast<std::size_t>(end)];
}

frame_table& slice_unwinder::table(const memory_map& map, std::uint32_t object) {
    if (object >= tables_.size()) tables_.resize(object + 1);
    if (!tables_[object]) {
        tables_[object] = std::make_unique<frame_table>(open_mapped(map.objects()[object]));
    }
    return *tables_[object];
}

walk_end slice_unwinder::walk(const stack_slice& slice, const memory_map& map,
                              std::vector<std::uint64_t>& addresses) {
    const std::optional<special_registers> special = special_registers_of(slice.registers.size());
    if (!special) return walk_end::bad_rules;
    register_values registers;
    for (unsigned number = 0; number < slice.registers.size(); ++number)
        registers.set(number, slice.registers[number]);
    std::uint64_t instruction = registers.value[special->instruction];
    bool is_exact = true;

    for (std::size_t frames = 0;; ++frames) {
        const std::uint64_t looked_up = instruction - (is_exact ? 0 : 1);
        const code_place place = map.find(looked_up);
        if (frames > 0 && place.object == code_place::no_object) return walk_end::no_code;
        if (frames == most_frames) return walk_end::limit;
        addresses.push_back(frames > 0 ? looked_up + 1 : instruction);
        const frame_row* row = nullptr;
        if (place.object != code_place::no_object) {
            frame_table& rows = table(map, place.object);
            const std::optional<std::uint64_t> address =
                code_address(rows.segments(), place.file_offset);
            if (address) row = rows.find(*address);
            if (address && row == nullptr && rows.is_entry(*address)) return walk_end::outermost;
        }
        const std::uint64_t stack = registers.value[special->stack_pointer];
        const step_result next = row != nullptr ? step(*row, *special, registers, slice)
                                                : step_by_frame_pointer(*special, registers, slice);
        if (next.end) return *next.end;
        if (next.caller == 0) return walk_end::outermost;
        // A signal may have come on another stack.
        is_exact = row != nullptr && row->signal_frame;
        const std::uint64_t outer = registers.value[special->stack_pointer];
        if (!is_exact && (outer < stack || (outer == stack && frames > 0)))
            return walk_end::no_progress;
        instruction = next.caller;
    }
}

walk_end slice_unwinder::unwind(const stack_slice& slice, const memory_map& map,
                                std::vector<std::uint64_t>& addresses) {
    const walk_end end = walk(slice, map, addresses);
    ++ends_[static_cast<std::size_t>(end)];
    return end;
}

unwinding slice_unwinder::unwind(const stack_sample& sample, const memory_map& map,
                                 std::vector<std::uint64_t>& addresses) {
    switch (
        unwind(stack_slice{sample.registers, sample.stack_pointer, sample.stack}, map, addresses)) {
        case walk_end::outermost:
            return unwinding::whole;
        case walk_end::limit:
        case walk_end::beyond_slice:
            return unwinding::cut;
        default:
            return unwinding::failed;
    }
}

std::string slice_unwinder::failures() const {
    std::string text;
    for (std::size_t i = static_cast<std::size_t>(walk_end::no_code); i < walk_ends; ++i) {
        if (ends_[i] == 0) continue;
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", ends_[i],
                            name_of(static_cast<walk_end>(i)));
    }
    return text;
}

}  // namespace nmircu::command
