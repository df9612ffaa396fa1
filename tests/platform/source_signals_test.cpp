// SPDX-License-Identifier: MIT
//
// Property: of several perf events on one thread exactly one is dispatched, the others are counted
// and reported as a pair, and every thread decides for itself.
#include "platform/linux/source_signals.hpp"

#include "hits.hpp"
#include "platform/linux/signal_tag.hpp"

namespace {

using namespace test;

class source_signals : public ::testing::Test {
  protected:
    source_signals() {
        forget_perf_tags();
        reset_source_counts();
        (void)take_tag_conflicts(conflicts_);
    }
    tag_conflict conflicts_[most_tag_conflicts];
};

TEST_F(source_signals, the_first_tag_of_a_thread_wins) {
    EXPECT_TRUE(accept_perf_tag(signal_tag(10)));
    EXPECT_FALSE(accept_perf_tag(signal_tag(11)));
    EXPECT_TRUE(accept_perf_tag(signal_tag(10)));
    EXPECT_FALSE(accept_perf_tag(signal_tag(11)));
    EXPECT_EQ(2u, duplicate_signals());
    ASSERT_EQ(1u, take_tag_conflicts(conflicts_));
    EXPECT_EQ(10u, conflicts_[0].kept);
    EXPECT_EQ(11u, conflicts_[0].rejected);
    EXPECT_EQ(0u, take_tag_conflicts(conflicts_));
}

TEST_F(source_signals, every_thread_chooses_its_own) {
    EXPECT_TRUE(accept_perf_tag(signal_tag(10)));
    std::thread([] {
        EXPECT_TRUE(accept_perf_tag(signal_tag(11)));
        EXPECT_FALSE(accept_perf_tag(signal_tag(10)));
    }).join();
    EXPECT_TRUE(accept_perf_tag(signal_tag(10)));
}

TEST_F(source_signals, a_new_source_starts_afresh) {
    EXPECT_TRUE(accept_perf_tag(signal_tag(10)));
    forget_perf_tags();
    EXPECT_TRUE(accept_perf_tag(signal_tag(11)));
    EXPECT_FALSE(accept_perf_tag(signal_tag(10)));
}

TEST_F(source_signals, more_conflicts_than_fit_are_counted_and_seen_again) {
    EXPECT_TRUE(accept_perf_tag(signal_tag(1)));
    constexpr unsigned many = most_tag_conflicts + 5;
    for (unsigned other = 2; other < 2 + many; ++other)
        EXPECT_FALSE(accept_perf_tag(signal_tag(other)));
    EXPECT_EQ(many, duplicate_signals());
    EXPECT_EQ(most_tag_conflicts, take_tag_conflicts(conflicts_));
    EXPECT_FALSE(accept_perf_tag(signal_tag(1 + many)));
    ASSERT_EQ(1u, take_tag_conflicts(conflicts_));
    EXPECT_EQ(1 + many, conflicts_[0].rejected);
}

TEST_F(source_signals, merged_expirations_add_up) {
    note_timer_signal(0);
    note_timer_signal(3);
    note_timer_signal(4);
    EXPECT_EQ(7u, timer_overruns());
    EXPECT_EQ(4u, merged_timer_signals());
}

TEST_F(source_signals, a_threads_first_stands_for_what_it_is_said_to) {
    std::thread([] {
        set_first_merged(15);
        note_timer_signal(2);
        EXPECT_EQ(15u, merged_timer_signals());
        note_timer_signal(2);
        EXPECT_EQ(2u, merged_timer_signals());
        note_timer_signal(0);
        EXPECT_EQ(0u, merged_timer_signals());
    }).join();
    EXPECT_EQ(17u, timer_overruns());
}

}  // namespace
