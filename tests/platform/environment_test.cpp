// SPDX-License-Identifier: MIT
//
// Property: a setting from the environment that is not a number within its range is reported in one
// line that names it and says what would be right, and changes nothing; and limits set through the
// interface out of their range are taken as the nearest that makes sense.
#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include <nmircu/rcu.hpp>

#include "platform/linux/environment.hpp"

namespace {

constexpr const char* name = "NMIRCU_SETTING_OF_A_TEST";

// What is reported; `value` is what it was, or what was read.
std::string reported(const char* text, std::uint64_t& value, bool accepted) {
    EXPECT_EQ(setenv(name, text, 1), 0);
    testing::internal::CaptureStderr();
    EXPECT_EQ(nmircu::platform::read_setting(name, {1, 1000}, value), accepted) << text;
    return testing::internal::GetCapturedStderr();
}

TEST(environment, what_does_not_parse_is_reported_and_ignored) {
    for (const char* text : {"", "-1", "+1", "1e3", " 1", "1 ", "1\n", "0x10", "1.5", "ten", "0",
                             "1001", "18446744073709551616", "99999999999999999999999999"}) {
        std::uint64_t value = 77;
        EXPECT_EQ(reported(text, value, false),
                  std::string("nmircu: ") + name + "=" + text +
                      " is ignored: it must be a number from 1 to 1000\n");
        EXPECT_EQ(value, 77u);
    }
}

// A range that ends below nine.
TEST(environment, one_digit_can_be_too_much) {
    for (const char* text : {"2", "9", "10"}) {
        ASSERT_EQ(setenv(name, text, 1), 0);
        std::uint64_t value = 1;
        testing::internal::CaptureStderr();
        EXPECT_FALSE(nmircu::platform::read_setting(name, {0, 1}, value));
        EXPECT_EQ(testing::internal::GetCapturedStderr(),
                  std::string("nmircu: ") + name + "=" + text +
                      " is ignored: it must be a number from 0 to 1\n");
        EXPECT_EQ(value, 1u);
    }
}

TEST(environment, numbers_within_the_range_are_taken_in_silence) {
    for (const char* text : {"1", "1000", "0042"}) {
        std::uint64_t value = 77;
        EXPECT_EQ(reported(text, value, true), "");
        EXPECT_EQ(value, std::strtoull(text, nullptr, 10));
    }
    unsetenv(name);
    std::uint64_t value = 77;
    EXPECT_FALSE(nmircu::platform::read_setting(name, {1, 1000}, value));
    EXPECT_EQ(value, 77u);
}

TEST(environment, limits_out_of_range_do_no_harm) {
    nmircu::rcu_set_backlog_limit(0);
    nmircu::rcu_set_stall_limit(~std::uint64_t{0});
    for (int i = 0; i < 100; ++i)
        nmircu::rcu_retire(new int);
    nmircu::rcu_barrier();
    nmircu::rcu_synchronize();
    EXPECT_EQ(nmircu::rcu_read_statistics().backlog, 0u);
    nmircu::rcu_set_backlog_limit(~std::uint64_t{0});
    nmircu::rcu_set_stall_limit(0);
    nmircu::rcu_retire(new int);
    nmircu::rcu_barrier();
}

}  // namespace
