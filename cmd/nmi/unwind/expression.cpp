// SPDX-License-Identifier: MIT
//
// A stack machine; see expression.hpp.
#include <nmi/unwind/expression.hpp>

#include <utility>

#include <dwarf.h>

#include <nmi/symbols/byte_cursor.hpp>

namespace nmircu::command {
namespace {

constexpr unsigned most_steps = 1000;
constexpr std::size_t most_values = 64;

class machine {
  public:
    machine(const register_values& registers, const stack_slice& memory)
        : registers_(registers), memory_(memory) {}

    evaluation run(std::span<const std::uint8_t> expression, std::optional<std::uint64_t> initial) {
        byte_cursor in(expression);
        if (initial) push(*initial);
        for (unsigned steps = 0; !in.done(); ++steps) {
            if (steps == most_steps) fail(evaluation_error::nonsense);
            if (failed()) return result_;
            step(in, expression);
        }
        if (!in.good()) fail(evaluation_error::nonsense);
        result_.value = pop();
        return result_;
    }

  private:
    [[nodiscard]] bool failed() const { return result_.error != evaluation_error::none; }
    void fail(evaluation_error error) {
        if (!failed()) result_.error = error;
    }
    void push(std::uint64_t value) {
        if (depth_ == most_values) return fail(evaluation_error::nonsense);
        values_[depth_++] = value;
    }
    void push_signed(std::int64_t value) { push(static_cast<std::uint64_t>(value)); }
    std::uint64_t pop() {
        if (depth_ > 0) return values_[--depth_];
        fail(evaluation_error::nonsense);
        return 0;
    }
    // The value `down` below the top.
    void pick(std::size_t down) {
        if (down >= depth_) return fail(evaluation_error::nonsense);
        push(values_[depth_ - 1 - down]);
    }
    void push_register(std::uint64_t number, std::int64_t offset) {
        const std::optional<std::uint64_t> value = registers_.get(number);
        if (!value) return fail(evaluation_error::unknown_register);
        push(*value + static_cast<std::uint64_t>(offset));
    }
    void dereference(unsigned bytes) {
        const std::uint64_t address = pop();
        if (bytes == 0 || bytes > 8) return fail(evaluation_error::nonsense);
        const std::optional<std::uint64_t> value = memory_.read(address, bytes);
        if (!value && !failed()) {
            result_.address = address;
            fail(evaluation_error::outside_slice);
        }
        push(value.value_or(0));
    }

    void step(byte_cursor& in, std::span<const std::uint8_t> whole) {
        const std::uint8_t opcode = in.byte();
        if (opcode >= DW_OP_lit0 && opcode <= DW_OP_lit31) {
            push(opcode - DW_OP_lit0);
        } else if (opcode >= DW_OP_breg0 && opcode <= DW_OP_breg31) {
            push_register(opcode - DW_OP_breg0, in.sleb());
        } else if (!constant(opcode, in) && !shuffle(opcode, in) && !jump(opcode, in, whole)) {
            unary(opcode, in) || binary(opcode) || (fail(evaluation_error::nonsense), true);
        }
    }

    bool constant(std::uint8_t opcode, byte_cursor& in) {
        switch (opcode) {
            case DW_OP_addr:
            case DW_OP_const8u:
            case DW_OP_const8s:
                push(in.fixed(8));
                return true;
            case DW_OP_const1u:
                push(in.fixed(1));
                return true;
            case DW_OP_const1s:
                push_signed(in.fixed_signed(1));
                return true;
            case DW_OP_const2u:
                push(in.fixed(2));
                return true;
            case DW_OP_const2s:
                push_signed(in.fixed_signed(2));
                return true;
            case DW_OP_const4u:
                push(in.fixed(4));
                return true;
            case DW_OP_const4s:
                push_signed(in.fixed_signed(4));
                return true;
            case DW_OP_constu:
                push(in.uleb());
                return true;
            case DW_OP_consts:
                push_signed(in.sleb());
                return true;
            case DW_OP_bregx: {
                const std::uint64_t number = in.uleb();
                push_register(number, in.sleb());
                return true;
            }
            default:
                return false;
        }
    }

    bool shuffle(std::uint8_t opcode, byte_cursor& in) {
        switch (opcode) {
            case DW_OP_nop:
                return true;
            case DW_OP_dup:
                pick(0);
                return true;
            case DW_OP_over:
                pick(1);
                return true;
            case DW_OP_pick:
                pick(in.byte());
                return true;
            case DW_OP_drop:
                pop();
                return true;
            case DW_OP_swap: {
                const std::uint64_t top = pop();
                const std::uint64_t second = pop();
                push(top);
                push(second);
                return true;
            }
            case DW_OP_rot: {
                const std::uint64_t top = pop();
                const std::uint64_t second = pop();
                const std::uint64_t third = pop();
                push(top);
                push(third);
                push(second);
                return true;
            }
            default:
                return false;
        }
    }

    bool jump(std::uint8_t opcode, byte_cursor& in, std::span<const std::uint8_t> whole) {
        if (opcode != DW_OP_skip && opcode != DW_OP_bra) return false;
        const std::int64_t distance = in.fixed_signed(2);
        if (opcode == DW_OP_skip || pop() != 0) in.jump(distance, whole);
        return true;
    }

    bool unary(std::uint8_t opcode, byte_cursor& in) {
        switch (opcode) {
            case DW_OP_deref:
                dereference(8);
                return true;
            case DW_OP_deref_size:
                dereference(in.byte());
                return true;
            case DW_OP_plus_uconst:
                push(pop() + in.uleb());
                return true;
            case DW_OP_neg:
                push(0 - pop());
                return true;
            case DW_OP_not:
                push(~pop());
                return true;
            case DW_OP_abs: {
                const std::uint64_t value = pop();
                push(value >> 63 != 0 ? 0 - value : value);
                return true;
            }
            default:
                return false;
        }
    }

    bool binary(std::uint8_t opcode) {
        if (opcode < DW_OP_and || opcode > DW_OP_ne) return false;
        const std::uint64_t b = pop();
        const std::uint64_t a = pop();
        const auto signed_a = static_cast<std::int64_t>(a);
        const auto signed_b = static_cast<std::int64_t>(b);
        switch (opcode) {
            case DW_OP_and:
                push(a & b);
                return true;
            case DW_OP_or:
                push(a | b);
                return true;
            case DW_OP_xor:
                push(a ^ b);
                return true;
            case DW_OP_plus:
                push(a + b);
                return true;
            case DW_OP_minus:
                push(a - b);
                return true;
            case DW_OP_mul:
                push(a * b);
                return true;
            case DW_OP_div:
                return divide(signed_a, signed_b);
            case DW_OP_mod:
                if (b == 0) return false;
                push(a % b);
                return true;
            case DW_OP_shl:
                push(b < 64 ? a << b : 0);
                return true;
            case DW_OP_shr:
                push(b < 64 ? a >> b : 0);
                return true;
            case DW_OP_shra:
                push_signed(signed_a >> (b < 64 ? b : 63));
                return true;
            case DW_OP_eq:
                push(a == b ? 1 : 0);
                return true;
            case DW_OP_ne:
                push(a != b ? 1 : 0);
                return true;
            case DW_OP_lt:
                push(signed_a < signed_b ? 1 : 0);
                return true;
            case DW_OP_le:
                push(signed_a <= signed_b ? 1 : 0);
                return true;
            case DW_OP_gt:
                push(signed_a > signed_b ? 1 : 0);
                return true;
            case DW_OP_ge:
                push(signed_a >= signed_b ? 1 : 0);
                return true;
            default:
                return false;
        }
    }
    bool divide(std::int64_t a, std::int64_t b) {
        if (b == 0 || (b == -1 && a == INT64_MIN)) return false;
        push_signed(a / b);
        return true;
    }

    const register_values& registers_;
    const stack_slice& memory_;
    std::array<std::uint64_t, most_values> values_;
    std::size_t depth_ = 0;
    evaluation result_;
};

}  // namespace

evaluation evaluate(std::span<const std::uint8_t> expression, const register_values& registers,
                    const stack_slice& memory, std::optional<std::uint64_t> initial) {
    return machine(registers, memory).run(expression, initial);
}

}  // namespace nmircu::command
