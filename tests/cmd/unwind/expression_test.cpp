// SPDX-License-Identifier: MIT
//
// Property: expressions compute what DWARF says, read only the slice, and end.
#include <nmi/unwind/expression.hpp>

#include <vector>

#include <dwarf.h>
#include <gtest/gtest.h>

namespace nmircu::command {
namespace {

using error = evaluation_error;

struct expression : testing::Test {
    expression() {
        registers.set(7, 0x7000);
        registers.set(16, 0x101b);
        words[1] = 0x1122334455667788;
    }
    evaluation run(std::vector<std::uint8_t> bytes,
                   std::optional<std::uint64_t> initial = std::nullopt) {
        return evaluate(bytes, registers, memory, initial);
    }
    register_values registers;
    std::uint64_t words[4] = {};
    stack_slice memory{{}, 0x7000, std::as_bytes(std::span(words))};
};

// What every x86-64 linker writes for lazy procedure linkage tables.
TEST_F(expression, of_a_linkage_stub) {
    const std::vector<std::uint8_t> stub = {DW_OP_breg7, 8,         DW_OP_breg16, 0,
                                            DW_OP_lit15, DW_OP_and, DW_OP_lit11,  DW_OP_ge,
                                            DW_OP_lit3,  DW_OP_shl, DW_OP_plus};
    EXPECT_EQ(run(stub).value, 0x7010u);  // 0x101b is past the push
    registers.set(16, 0x1014);
    EXPECT_EQ(run(stub).value, 0x7008u);
}

TEST_F(expression, reads_the_slice_and_nothing_else) {
    EXPECT_EQ(run({DW_OP_breg7, 8, DW_OP_deref}).value, 0x1122334455667788u);
    EXPECT_EQ(run({DW_OP_breg7, 8, DW_OP_deref_size, 2}).value, 0x7788u);
    EXPECT_EQ(run({DW_OP_breg7, 25, DW_OP_deref}).error, error::outside_slice);
    EXPECT_EQ(run({DW_OP_breg7, 0x78, DW_OP_deref}).error, error::outside_slice);
    EXPECT_EQ(run({DW_OP_lit1, DW_OP_neg, DW_OP_deref}).error, error::outside_slice);
}

TEST_F(expression, begins_with_the_frame_address) {
    EXPECT_EQ(run({DW_OP_plus_uconst, 16}, 0x100).value, 0x110u);
    EXPECT_EQ(run({DW_OP_consts, 0x70, DW_OP_plus}, 0x100).value, 0xf0u);
}

TEST_F(expression, arithmetic) {
    EXPECT_EQ(run({DW_OP_lit7, DW_OP_lit2, DW_OP_div}).value, 3u);
    EXPECT_EQ(run({DW_OP_lit7, DW_OP_lit2, DW_OP_minus}).value, 5u);
    EXPECT_EQ(run({DW_OP_const1s, 0xf8, DW_OP_lit1, DW_OP_shra}).value, ~std::uint64_t{3});
    EXPECT_EQ(run({DW_OP_lit1, DW_OP_lit2, DW_OP_lit3, DW_OP_rot}).value, 2u);
    EXPECT_EQ(run({DW_OP_lit1, DW_OP_lit2, DW_OP_swap}).value, 1u);
    EXPECT_EQ(run({DW_OP_lit9, DW_OP_lit2, DW_OP_pick, 1}).value, 9u);
    EXPECT_EQ(run({DW_OP_lit1, DW_OP_bra, 1, 0, DW_OP_lit5, DW_OP_lit4}, 3).value, 4u);
}

TEST_F(expression, nonsense_is_refused) {
    EXPECT_EQ(run({}).error, error::nonsense);
    EXPECT_EQ(run({DW_OP_plus}).error, error::nonsense);
    EXPECT_EQ(run({DW_OP_lit1, DW_OP_lit0, DW_OP_div}).error, error::nonsense);
    EXPECT_EQ(run({DW_OP_lit1, DW_OP_lit0, DW_OP_mod}).error, error::nonsense);
    EXPECT_EQ(run({DW_OP_const8u, 1}).error, error::nonsense);
    EXPECT_EQ(run({0xff}).error, error::nonsense);
    EXPECT_EQ(run({DW_OP_breg3, 0}).error, error::unknown_register);
    EXPECT_EQ(run({DW_OP_bregx, 0xff, 0x7f, 0}).error, error::unknown_register);
    EXPECT_EQ(run({DW_OP_lit1, DW_OP_skip, 0xff, 0x7f}).error, error::nonsense);
}

TEST_F(expression, loops_and_towers_end) {
    EXPECT_EQ(run({DW_OP_skip, 0xfd, 0xff}).error, error::nonsense);
    EXPECT_EQ(run({DW_OP_dup, DW_OP_skip, 0xfc, 0xff}, 1).error, error::nonsense);
}

}  // namespace
}  // namespace nmircu::command
