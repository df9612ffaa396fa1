// SPDX-License-Identifier: MIT
//
// Property: the restartable addition adds to the word of the CPU that its area names, refuses a CPU
// number out of range, leaves nothing behind, and is described to the kernel as it must be.
#include "rseq_check.hpp"

#include <gtest/gtest.h>

namespace {

#if defined(__x86_64__)
constexpr std::uint32_t signature = 0x53053053;
#elif defined(__aarch64__)
constexpr std::uint32_t signature = 0xd428bc00;
#endif

TEST(Rseq, Adds) {
    EXPECT_EQ("", nmircu::arch::check_addition());
}

TEST(Rseq, DoesAsItsOptionsSay) {
    EXPECT_EQ("", nmircu::arch::check_options());
}

TEST(Rseq, IsDescribed) {
    EXPECT_EQ("", nmircu::arch::check_descriptors(signature));
    EXPECT_EQ("an abort handler without its signature",
              nmircu::arch::check_descriptors(signature + 1));
}

}  // namespace
