// SPDX-License-Identifier: MIT
//
// Property: every form of call instruction is recognised by its end, and what a jump, a return or
// data leaves there is not; encodings as an assembler writes them.
#include <nmi/symbols/call_site.hpp>

#include <elf.h>

#include <vector>

#include <gtest/gtest.h>

namespace nmircu::command {
namespace {

using bytes = std::vector<std::uint8_t>;

TEST(call_site, x86_64_calls) {
    for (const bytes& call : {
             bytes{0xe8, 0x12, 0x34, 0x56, 0x78},                    // call rel32
             bytes{0xff, 0xd0},                                      // call *%rax
             bytes{0x41, 0xff, 0xd4},                                // call *%r12
             bytes{0xff, 0x10},                                      // call *(%rax)
             bytes{0xff, 0x14, 0x24},                                // call *(%rsp)
             bytes{0xff, 0x50, 0x18},                                // call *0x18(%rax)
             bytes{0xff, 0x54, 0x24, 0x08},                          // call *8(%rsp)
             bytes{0xff, 0x15, 0x01, 0x02, 0x03, 0x04},              // call *0x4030201(%rip)
             bytes{0xff, 0x90, 0x00, 0x01, 0x00, 0x00},              // call *0x100(%rax)
             bytes{0x41, 0xff, 0x94, 0xc4, 0x00, 0x01, 0x00, 0x00},  // call *0x100(%r12,%rax,8)
             bytes{0xff, 0x14, 0xc5, 0x00, 0x10, 0x00, 0x00},        // call *0x1000(,%rax,8)
         }) {
        bytes code(longest_call - call.size(), 0x90);
        code.insert(code.end(), call.begin(), call.end());
        EXPECT_TRUE(ends_with_call(EM_X86_64, code)) << testing::PrintToString(call);
        EXPECT_TRUE(ends_with_call(EM_X86_64, call)) << testing::PrintToString(call);
    }
}

TEST(call_site, x86_64_other_instructions) {
    for (const bytes& code : {
             bytes{}, bytes{0xe8}, bytes{0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90},  // nop
             bytes{0x90, 0x90, 0x90, 0xe9, 0x12, 0x34, 0x56, 0x78},  // jmp rel32
             bytes{0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xe0},  // jmp *%rax
             bytes{0x90, 0x90, 0xff, 0x25, 0x01, 0x02, 0x03, 0x04},  // jmp *disp(%rip)
             bytes{0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x5d, 0xc3},  // pop, ret
             bytes{0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0x10, 0x90},  // a call one byte before
             bytes{0x90, 0xe8, 0x01, 0x02, 0x03, 0x04, 0x90, 0x90},  // a call two bytes before
         }) {
        EXPECT_FALSE(ends_with_call(EM_X86_64, code)) << testing::PrintToString(code);
    }
}

TEST(call_site, aarch64) {
    EXPECT_TRUE(ends_with_call(EM_AARCH64, bytes{0x1f, 0x20, 0x03, 0xd5, 0x10, 0x00, 0x00, 0x94}));
    EXPECT_TRUE(ends_with_call(EM_AARCH64, bytes{0x00, 0x02, 0x3f, 0xd6}));   // blr x16
    EXPECT_TRUE(ends_with_call(EM_AARCH64, bytes{0x11, 0x09, 0x3f, 0xd7}));   // blraa x8, x17
    EXPECT_FALSE(ends_with_call(EM_AARCH64, bytes{0x10, 0x00, 0x00, 0x14}));  // b
    EXPECT_FALSE(ends_with_call(EM_AARCH64, bytes{0x00, 0x02, 0x1f, 0xd6}));  // br x16
    EXPECT_FALSE(ends_with_call(EM_AARCH64, bytes{0xc0, 0x03, 0x5f, 0xd6}));  // ret
    EXPECT_FALSE(ends_with_call(EM_AARCH64, bytes{0x00, 0x94}));
}

TEST(call_site, of_other_machines_is_believed) {
    EXPECT_TRUE(ends_with_call(EM_RISCV, bytes{0x00, 0x00}));
}

}  // namespace
}  // namespace nmircu::command
