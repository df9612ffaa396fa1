// SPDX-License-Identifier: MIT
//
// Property: what is recorded is what the records say, each counted with its weight: a repeat for
// the sample it means, in whatever order the rings hand them over; a stack sample for what its
// unwinder finds; a name for its thread. What is no record is counted and otherwise ignored.
#include <nmi/profile/recorder.hpp>

#include <algorithm>
#include <map>

#include <unistd.h>

#include <gtest/gtest.h>

#include "records.hpp"

namespace nmircu::command {
namespace {

using namespace test;

const std::uint64_t code = reinterpret_cast<std::uint64_t>(&sample_record) + 1;

struct recorder_test : testing::Test {
    recorder_test() {
        seen.refresh();
        seen.begin_round();
    }
    void take(std::uint32_t kind, const words& payload) { seen.take({0, kind, bytes_of(payload)}); }
    // A sample whose stack is `depth` deep, to tell it from others.
    void sample_at(std::uint64_t time_ns, std::size_t depth, std::uint32_t thread = 1) {
        take(NMI_RECORD_SAMPLE, sample_record(thread, time_ns, 0, words(depth, code)));
    }
    void repeat_at(std::uint64_t time_ns, std::uint32_t count, std::uint32_t thread = 1) {
        take(NMI_RECORD_REPEAT, repeat_record(thread, time_ns, count));
    }
    std::map<std::size_t, std::uint64_t> samples_by_depth() {
        std::map<std::size_t, std::uint64_t> out;
        seen.calls().for_each_stack(
            [&](auto, auto stack, std::uint64_t samples) { out[stack.size()] += samples; });
        return out;
    }
    recorder seen{getpid()};
};
using counted = std::map<std::size_t, std::uint64_t>;

TEST_F(recorder_test, counts_what_is_no_sample_and_ignores_other_kinds) {
    for (const std::uint32_t kind :
         {NMI_RECORD_SAMPLE, NMI_RECORD_REPEAT, NMI_RECORD_STACK, NMI_RECORD_THREAD_NAME})
        take(kind, {1, 2});
    take(NMI_RECORD_FIRST_FREE, {1, 2});
    take(900, {1, 2});
    EXPECT_EQ(seen.counts().malformed, 4u);
    EXPECT_EQ(seen.calls().samples(), 0u);
}

TEST_F(recorder_test, a_stack_ends_where_no_code_is) {
    take(NMI_RECORD_SAMPLE, sample_record(1, 1, 0, {code, code, 64, code}));
    EXPECT_EQ(samples_by_depth(), (counted{{2, 1}}));
}

TEST_F(recorder_test, an_interrupted_address_without_code_is_still_a_sample) {
    take(NMI_RECORD_SAMPLE, sample_record(1, 1, 0, {64, code}));
    EXPECT_EQ(samples_by_depth(), (counted{{2, 1}}));
}

TEST_F(recorder_test, a_sample_counts_with_its_weight) {
    take(NMI_RECORD_SAMPLE,
         sample_record(1, 1, 4u << NMI_SAMPLE_MERGED_SHIFT | NMI_SAMPLE_UNWOUND_BADLY, {code}));
    take(NMI_RECORD_SAMPLE, sample_record(1, 2, NMI_SAMPLE_OFF_CPU, {code, code}));
    EXPECT_EQ(samples_by_depth(), (counted{{1, 5}, {2, 1}}));
    EXPECT_EQ(seen.calls().samples(), 6u);
    EXPECT_EQ(seen.counts().records, 2u);
    EXPECT_EQ(seen.counts().merged, 4u);
    EXPECT_EQ(seen.counts().unwound_badly, 5u);
    EXPECT_EQ(seen.counts().off_cpu, 1u);
}

TEST_F(recorder_test, a_repeat_means_the_latest_sample_before_it) {
    sample_at(10, 1);
    repeat_at(15, 3);
    sample_at(20, 2);
    repeat_at(25, 5);
    seen.finish();
    EXPECT_EQ(samples_by_depth(), (counted{{1, 4}, {2, 6}}));
    EXPECT_EQ(seen.counts().repeated, 8u);
    EXPECT_EQ(seen.counts().off_cpu, 8u);
}

// One ring is read before the other.
TEST_F(recorder_test, the_order_in_which_rings_are_read_does_not_matter) {
    repeat_at(15, 3);
    repeat_at(25, 5);
    sample_at(20, 2);
    seen.begin_round();
    sample_at(10, 1);
    sample_at(30, 3);
    repeat_at(35, 7);
    seen.begin_round();
    seen.begin_round();
    EXPECT_EQ(samples_by_depth(), (counted{{1, 4}, {2, 6}, {3, 8}}));
    seen.finish();
    EXPECT_EQ(seen.calls().samples(), 18u);
}

TEST_F(recorder_test, an_old_sample_is_repeated_for_ever) {
    sample_at(10, 1);
    sample_at(5, 2);
    for (std::uint64_t round = 0; round < 50; ++round) {
        seen.begin_round();
        repeat_at(100 + round, 1);
    }
    seen.finish();
    EXPECT_EQ(samples_by_depth(), (counted{{1, 51}, {2, 1}}));
    // Long after, another sample and a repeat of each.
    repeat_at(1000, 1);
    sample_at(2000, 3);
    repeat_at(2001, 1);
    seen.finish();
    EXPECT_EQ(samples_by_depth(), (counted{{1, 52}, {2, 1}, {3, 2}}));
}

TEST_F(recorder_test, a_repeat_without_its_sample_is_counted_apart) {
    repeat_at(15, 3);
    sample_at(20, 1);
    sample_at(10, 1, 2);
    seen.finish();
    EXPECT_EQ(seen.orphaned(), 3u);
    EXPECT_EQ(seen.calls().samples(), 2u);
    EXPECT_EQ(seen.counts().off_cpu, 0u);
}

TEST_F(recorder_test, without_an_unwinder_a_stack_is_its_innermost_frame) {
    take(NMI_RECORD_STACK, stack_record(1, 10, {0, 0, code}, {1, 2}));
    repeat_at(11, 2);
    seen.finish();
    EXPECT_EQ(samples_by_depth(), (counted{{1, 3}}));
    EXPECT_EQ(seen.counts().unwound_badly, 1u);
}

struct fake_unwinder : stack_unwinder {
    unwinding unwind(const stack_sample& sample, const memory_map& map,
                     std::vector<std::uint64_t>& addresses) override {
        EXPECT_NE(map.find(sample.instruction()).object, code_place::no_object);
        for (std::size_t i = 0; i < sample.stack.size() / 8; ++i)
            addresses.push_back(sample.instruction());
        return result;
    }
    unwinding result = unwinding::whole;
};

TEST_F(recorder_test, an_unwinder_says_who_called) {
    fake_unwinder unwinder;
    seen.use(unwinder);
    take(NMI_RECORD_STACK, stack_record(1, 10, {code}, {0, 0, 0}));
    unwinder.result = unwinding::cut;
    take(NMI_RECORD_STACK, stack_record(1, 11, {code}, {0, 0}));
    unwinder.result = unwinding::failed;
    take(NMI_RECORD_STACK, stack_record(1, 12, {code}, {}));
    EXPECT_EQ(samples_by_depth(), (counted{{3, 1}, {2, 1}, {1, 1}}));
    EXPECT_EQ(seen.counts().truncated, 1u);
    EXPECT_EQ(seen.counts().unwound_badly, 1u);
}

// No thread has these numbers: the kernel's largest is 2^22.
constexpr std::uint32_t nobody = 1u << 30;

TEST_F(recorder_test, a_thread_that_has_ended_is_called_what_it_said) {
    take(NMI_RECORD_THREAD_NAME, name_record(nobody, "first", NMI_THREAD_FIRST));
    sample_at(1, 1, nobody);
    take(NMI_RECORD_THREAD_NAME, name_record(nobody, "renamed", 0));
    sample_at(2, 1, nobody + 1);
    take(NMI_RECORD_THREAD_NAME, name_record(nobody + 1, "late", NMI_THREAD_FIRST));
    seen.refresh();
    ASSERT_EQ(seen.threads().size(), 2u);
    EXPECT_EQ(seen.threads().name(0), "renamed");
    EXPECT_EQ(seen.threads().thread_id(0), nobody);
    EXPECT_EQ(seen.threads().name(1), "late");
    EXPECT_EQ(seen.threads().nameless(), 0u);
}

TEST_F(recorder_test, a_number_that_is_used_again_is_another_thread) {
    take(NMI_RECORD_THREAD_NAME, name_record(nobody, "one", NMI_THREAD_FIRST));
    sample_at(1, 1, nobody);
    take(NMI_RECORD_THREAD_NAME, name_record(nobody, "two", NMI_THREAD_FIRST));
    sample_at(2, 2, nobody);
    ASSERT_EQ(seen.threads().size(), 2u);
    EXPECT_EQ(seen.threads().name(0), "one");
    EXPECT_EQ(seen.threads().name(1), "two");
}

TEST_F(recorder_test, a_thread_nobody_knows_has_its_number_and_is_counted) {
    sample_at(1, 1, nobody);
    sample_at(1, 1, static_cast<std::uint32_t>(getpid()));
    EXPECT_EQ(seen.threads().name(0), "tid 1073741824");
    EXPECT_NE(seen.threads().name(1).substr(0, 4), "tid ");
    EXPECT_EQ(seen.threads().nameless(), 1u);
}

}  // namespace
}  // namespace nmircu::command
