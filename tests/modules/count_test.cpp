// SPDX-License-Identifier: MIT
//
// Property: the smallest module, built as its own first lines say with a C compiler and module.h
// and nothing else, counts every interrupt of a real program.
#include "agent/program.hpp"

namespace {

using namespace test;

TEST(example_count, built_with_cc_alone_it_counts_every_interrupt) {
    scratch folder;
    const std::string module = folder / "count.so";
    ASSERT_EQ(std::system((std::string(C_COMPILER) +
                           " -shared -fPIC -ftls-model=initial-exec -Wall -Wextra -Werror -I " +
                           INCLUDE + " -o " + module + " " + COUNT_SOURCE)
                              .c_str()),
              0);
    testing::internal::CaptureStderr();
    std::uint64_t calls = 0;
    {
        program target;
        target.tell("burn 2");
        ASSERT_THAT(target.ask({"load", module, "1000", "auto"}), is_ok());
        ASSERT_TRUE(target.wait_for_calls("count", 100));
        ASSERT_THAT(target.ask({"unload", "count"}), is_ok());
        EXPECT_FALSE(target.maps("count.so"));
        calls = target.status().number("retired", status_lines::handled, "count");
    }
    // It tells on the program's own standard error.
    EXPECT_EQ(testing::internal::GetCapturedStderr(),
              "count: " + std::to_string(calls) + " interrupts\n");
}

}  // namespace
