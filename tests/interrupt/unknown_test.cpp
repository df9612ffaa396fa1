// SPDX-License-Identifier: MIT
//
// Property: an NMI that nobody claims is counted, reported at most once a second, and treated as
// the policy says; the second half of a merged pair is not one; a slow handler is named.
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include <gtest/gtest.h>
#include <nmircu/nmi.hpp>
#include <nmircu/platform/port.hpp>

#include "raise.hpp"

namespace {

using nmircu::nmi_error;
using nmircu::nmi_handler;
using nmircu::nmi_type;
using nmircu::nmi_unknown_policy;
using nmircu::pt_regs;

struct unknown : testing::Test {
    void SetUp() override { ASSERT_EQ(nmircu::nmi_attach(), 0); }
    void TearDown() override { nmircu::nmi_set_unknown_policy(nmi_unknown_policy::report); }

    // What the library writes to stderr while this runs.
    template <class Run>
    static std::string reports(Run run) {
        testing::internal::CaptureStderr();
        run();
        return testing::internal::GetCapturedStderr();
    }
};

long lines_with(const std::string& text, const std::string& phrase) {
    long lines = 0;
    for (auto at = text.find(phrase); at != std::string::npos; at = text.find(phrase, at + 1))
        ++lines;
    return lines;
}

TEST_F(unknown, is_counted_and_reported_once_a_second) {
    const auto before = nmircu::nmi_unknown_count();
    const std::string said = reports([] {
        for (int i = 0; i < 20; ++i)
            static_cast<void>(raise_here());
    });
    EXPECT_EQ(nmircu::nmi_unknown_count(), before + 20);
    EXPECT_GE(lines_with(said, "nmircu: an NMI that no handler claims, on CPU"), 1);
    EXPECT_LT(lines_with(said, "nmircu: an NMI that no handler claims, on CPU"), 20);
    EXPECT_NE(said.find("thread " + std::to_string(::gettid()) + ", at 0x"), std::string::npos);
}

TEST_F(unknown, is_only_counted_when_the_policy_says_so) {
    nmircu::nmi_set_unknown_policy(nmi_unknown_policy::ignore);
    const auto before = nmircu::nmi_unknown_count();
    EXPECT_EQ(reports([] { static_cast<void>(raise_here()); }), "");
    EXPECT_EQ(nmircu::nmi_unknown_count(), before + 1);
}

TEST_F(unknown, ends_the_program_when_the_policy_says_so) {
    EXPECT_DEATH(
        {
            nmircu::nmi_set_unknown_policy(nmi_unknown_policy::abort);
            static_cast<void>(raise_here());
        },
        "an NMI that no handler claims, on CPU [0-9]+, thread [0-9]+, at 0x[0-9a-f]+; the policy "
        "for unknown NMIs is to stop the program");
}

struct pair_finder {
    int calls = 0;
    int events[4] = {2, 0, 0, 0};
};
int finds_both(void* cookie, pt_regs*, int) {
    auto* const self = static_cast<pair_finder*>(cookie);
    return self->events[self->calls++ % 4];
}

// Raises at one and the same instruction.
[[gnu::noinline]] void raise_at_one_place(int times) {
    for (int i = 0; i < times; ++i)
        static_cast<void>(raise_here());
}

TEST_F(unknown, the_second_half_of_a_pair_is_swallowed_and_the_third_is_not) {
    nmircu::nmi_set_unknown_policy(nmi_unknown_policy::ignore);
    pair_finder finder;
    nmi_handler handler;
    ASSERT_EQ(handler.add(nmi_type::local, "finds both", finds_both, &finder), nmi_error::none);
    const auto unknowns = nmircu::nmi_unknown_count(), swallows = nmircu::nmi_swallowed_count();
    raise_at_one_place(3);
    EXPECT_EQ(nmircu::nmi_swallowed_count(), swallows + 1);
    EXPECT_EQ(nmircu::nmi_unknown_count(), unknowns + 1);
}

TEST_F(unknown, one_event_claimed_swallows_nothing) {
    nmircu::nmi_set_unknown_policy(nmi_unknown_policy::ignore);
    pair_finder finder{0, {1, 0, 0, 0}};
    nmi_handler handler;
    ASSERT_EQ(handler.add(nmi_type::local, "finds one", finds_both, &finder), nmi_error::none);
    const auto unknowns = nmircu::nmi_unknown_count(), swallows = nmircu::nmi_swallowed_count();
    raise_at_one_place(2);
    EXPECT_EQ(nmircu::nmi_swallowed_count(), swallows);
    EXPECT_EQ(nmircu::nmi_unknown_count(), unknowns + 1);
}

int finds_minus_one(void*, pt_regs*, int) {
    return -1;
}
int finds_one(void*, pt_regs*, int) {
    return 1;
}
int finds_the_most(void*, pt_regs*, int) {
    return std::numeric_limits<int>::max();
}

// Whatever is not zero is a claim, whatever the sum.
TEST_F(unknown, claims_do_not_cancel_out) {
    nmircu::nmi_set_unknown_policy(nmi_unknown_policy::ignore);
    nmi_handler first, second, third;
    const auto unknowns = nmircu::nmi_unknown_count();
    const auto raise_one = [] { EXPECT_EQ(raise_here(), 0); };
    ASSERT_EQ(first.add(nmi_type::local, "first", finds_one, nullptr), nmi_error::none);
    ASSERT_EQ(second.add(nmi_type::local, "second", finds_minus_one, nullptr), nmi_error::none);
    raise_one();
    ASSERT_EQ(first.swap(finds_the_most, nullptr), nmi_error::none);
    ASSERT_EQ(second.swap(finds_the_most, nullptr), nmi_error::none);
    raise_one();
    ASSERT_EQ(third.add(
                  nmi_type::local, "third", [](void*, pt_regs*, int) { return 2; }, nullptr),
              nmi_error::none);
    raise_one();
    EXPECT_EQ(nmircu::nmi_unknown_count(), unknowns);
}

int takes_two_milliseconds(void*, pt_regs*, int) {
    const std::uint64_t until = nmircu::platform::port::now_ns() + 2'000'000;
    while (nmircu::platform::port::now_ns() < until) {
    }
    return 1;
}

TEST_F(unknown, a_handler_that_takes_too_long_is_named) {
    nmircu::nmi_set_timing_interval(1);
    nmi_handler handler;
    ASSERT_EQ(handler.add(nmi_type::local, "dawdler", takes_two_milliseconds, nullptr),
              nmi_error::none);
    // The first may use up what is left of an earlier interval.
    std::string said;
    for (int i = 0; i < 20 && said.empty(); ++i)
        said = reports([] { static_cast<void>(raise_here()); });
    EXPECT_NE(said.find("nmircu: handler dawdler took "), std::string::npos) << said;
    EXPECT_NE(said.find(" us, of at most 1000 allowed"), std::string::npos) << said;

    std::uint64_t timed = 0, longest = 0;
    for (int cpu = 0; cpu < 1024; ++cpu) {
        const nmircu::nmi_cpu_statistics here = nmircu::nmi_read_cpu(cpu);
        timed += here.timed;
        longest = std::max(longest, here.longest_ns);
        EXPECT_GE(here.taken, here.timed);
    }
    EXPECT_GE(timed, 1u);
    EXPECT_GE(longest, 1'900'000u);
    nmircu::nmi_set_timing_interval(16);
}

TEST_F(unknown, no_limit_no_warning) {
    nmircu::nmi_set_longest_allowed(0);
    nmircu::nmi_set_timing_interval(1);
    nmi_handler handler;
    ASSERT_EQ(handler.add(nmi_type::local, "may dawdle", takes_two_milliseconds, nullptr),
              nmi_error::none);
    const std::string said = reports([] {
        for (int i = 0; i < 17; ++i)
            static_cast<void>(raise_here());
    });
    EXPECT_EQ(said, "");
    nmircu::nmi_set_longest_allowed(1'000'000);
    nmircu::nmi_set_timing_interval(16);
}

}  // namespace
