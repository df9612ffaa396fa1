// SPDX-License-Identifier: MIT
//
// Property: every sample that is added comes out again under exactly its stack and thread, and a
// record that is no sample is counted and otherwise ignored.
#include <nmi/profile/call_tree.hpp>

#include <cstring>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include <nmircu/module.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <nmi/profile/recorder.hpp>
#include <nmi/profile/sample.hpp>

namespace nmircu::command {
namespace {

using places = std::vector<code_place>;

TEST(call_tree, gives_back_what_was_added) {
    std::mt19937 generator(3);
    const auto random = [&] { return static_cast<std::uint32_t>(generator()); };
    std::map<std::pair<std::uint32_t, places>, std::uint64_t> added, found;
    call_tree tree;
    for (int i = 0; i < 5000; ++i) {
        places stack(1 + random() % 6);
        for (code_place& place : stack)
            place = {random() % 2, random() % 3};
        const std::uint32_t thread = random() % 3;
        tree.add(thread, stack);
        ++added[{thread, {stack.rbegin(), stack.rend()}}];
    }
    tree.for_each_stack(
        [&](std::uint32_t thread, std::span<const code_place> stack, std::uint64_t samples) {
            found[{thread, {stack.begin(), stack.end()}}] += samples;
        });
    EXPECT_EQ(found, added);
    EXPECT_EQ(tree.samples(), 5000u);
}

std::vector<std::uint64_t> sample_words(std::uint32_t count, std::uint32_t flags,
                                        const std::vector<std::uint64_t>& addresses) {
    nmi_sample fixed{};
    fixed.time_ns = 5;
    fixed.thread_id = static_cast<std::uint32_t>(gettid());
    fixed.cpu = 1;
    fixed.address_count = count;
    fixed.flags = flags;
    std::vector<std::uint64_t> words(offsetof(nmi_sample, addresses) / 8);
    std::memcpy(words.data(), &fixed, offsetof(nmi_sample, addresses));
    words.insert(words.end(), addresses.begin(), addresses.end());
    return words;
}

std::optional<sample> read_words(const std::vector<std::uint64_t>& words) {
    return read_sample(std::as_bytes(std::span(words)));
}

TEST(sample, is_read_field_by_field) {
    const auto words = sample_words(2, NMI_SAMPLE_TRUNCATED, {7, 8});
    const std::optional<sample> found = read_words(words);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->time_ns, 5u);
    EXPECT_EQ(found->cpu, 1u);
    EXPECT_TRUE(found->truncated);
    EXPECT_EQ(std::vector<std::uint64_t>(found->addresses.begin(), found->addresses.end()),
              (std::vector<std::uint64_t>{7, 8}));
}

TEST(sample, whose_count_does_not_fit_is_refused) {
    EXPECT_FALSE(read_words(sample_words(0, 0, {})));
    EXPECT_FALSE(read_words(sample_words(0, 0, {1})));
    EXPECT_FALSE(read_words(sample_words(3, 0, {1, 2})));
    EXPECT_FALSE(read_words(sample_words(~0u, 0, {1, 2})));
    EXPECT_FALSE(read_words(sample_words(1025, 0, std::vector<std::uint64_t>(1025))));
    EXPECT_TRUE(read_words(sample_words(1024, 0, std::vector<std::uint64_t>(1024))));
    EXPECT_FALSE(read_words({1, 2}));
    EXPECT_FALSE(read_words({}));
}

struct recorder_test : testing::Test {
    recorder_test() { seen.refresh(); }
    void take(std::uint32_t kind, const std::vector<std::uint64_t>& words) {
        seen.take({0, kind, std::as_bytes(std::span(words))});
    }
    std::size_t depth() {
        std::size_t deepest = 0;
        seen.calls().for_each_stack(
            [&](auto, auto stack, auto) { deepest = std::max(deepest, stack.size()); });
        return deepest;
    }
    recorder seen{getpid()};
    const std::uint64_t code = reinterpret_cast<std::uint64_t>(&sample_words) + 1;
};

TEST_F(recorder_test, counts_what_is_no_sample_and_ignores_other_kinds) {
    take(NMI_RECORD_SAMPLE, {1, 2});
    take(NMI_RECORD_FIRST_FREE, {1, 2});
    EXPECT_EQ(seen.malformed(), 1u);
    EXPECT_EQ(seen.calls().samples(), 0u);
}

TEST_F(recorder_test, a_stack_ends_where_no_code_is) {
    take(NMI_RECORD_SAMPLE, sample_words(4, 0, {code, code, 64, code}));
    EXPECT_EQ(seen.calls().samples(), 1u);
    EXPECT_EQ(depth(), 2u);
}

TEST_F(recorder_test, an_interrupted_address_without_code_is_still_a_sample) {
    take(NMI_RECORD_SAMPLE, sample_words(2, 0, {64, code}));
    EXPECT_EQ(seen.calls().samples(), 1u);
    EXPECT_EQ(depth(), 2u);
}

}  // namespace
}  // namespace nmircu::command
