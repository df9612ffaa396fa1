// SPDX-License-Identifier: MIT
//
// Property: a record is read field by field, and one whose counts do not fit what there is of it,
// or are beyond what module.h allows, is refused; whatever it holds, nothing outside it is read.
#include <nmi/profile/sample.hpp>

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "records.hpp"

namespace nmircu::command {
namespace {

using namespace test;

std::optional<sample> read(const words& payload) {
    return read_sample(bytes_of(payload));
}

TEST(sample, is_read_field_by_field) {
    const words record = sample_record(77, 5, NMI_SAMPLE_TRUNCATED, {7, 8});
    const auto found = read(record);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->time_ns, 5u);
    EXPECT_EQ(found->thread_id, 77u);
    EXPECT_EQ(found->cpu, 1u);
    EXPECT_TRUE(found->truncated);
    EXPECT_FALSE(found->off_cpu);
    EXPECT_FALSE(found->unwound_badly);
    EXPECT_EQ(found->weight, 1u);
    EXPECT_EQ(words(found->addresses.begin(), found->addresses.end()), (words{7, 8}));
}

TEST(sample, weighs_one_and_what_was_merged) {
    const auto weight = [](std::uint32_t flags) {
        return read(sample_record(1, 1, flags, {7}))->weight;
    };
    EXPECT_EQ(weight(1u << NMI_SAMPLE_MERGED_SHIFT), 2u);
    EXPECT_EQ(weight(~0u), 65536u);
    EXPECT_EQ(weight(0xffffu), 1u);
    const auto flagged =
        read(sample_record(1, 1, NMI_SAMPLE_OFF_CPU | NMI_SAMPLE_UNWOUND_BADLY, {7}));
    EXPECT_TRUE(flagged->off_cpu);
    EXPECT_TRUE(flagged->unwound_badly);
    EXPECT_FALSE(flagged->truncated);
}

words with_count(std::uint32_t count, const words& addresses) {
    words out = sample_record(1, 1, 0, addresses);
    std::memcpy(reinterpret_cast<char*>(out.data()) + offsetof(nmi_sample, address_count), &count,
                sizeof count);
    return out;
}

TEST(sample, whose_count_does_not_fit_is_refused) {
    EXPECT_FALSE(read(with_count(0, {})));
    EXPECT_FALSE(read(with_count(0, {1})));
    EXPECT_FALSE(read(with_count(3, {1, 2})));
    EXPECT_FALSE(read(with_count(~0u, {1, 2})));
    EXPECT_FALSE(read(with_count(1025, words(1025))));
    EXPECT_TRUE(read(with_count(1024, words(1024))));
    EXPECT_FALSE(read({1, 2}));
    EXPECT_FALSE(read({}));
}

TEST(stack_sample, is_read_field_by_field) {
    const words payload = stack_record(9, 4, {1, 2, 3}, {50, 60});
    const auto found = read_stack_sample(bytes_of(payload));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->thread_id, 9u);
    EXPECT_EQ(found->stack_pointer, 0x7000u);
    EXPECT_EQ(words(found->registers.begin(), found->registers.end()), (words{1, 2, 3}));
    EXPECT_EQ(found->instruction(), 3u);
    ASSERT_EQ(found->stack.size(), 16u);
    EXPECT_EQ(static_cast<int>(found->stack[8]), 60);
}

TEST(stack_sample, that_does_not_fit_is_refused) {
    words payload = stack_record(9, 4, {1, 2, 3}, {50, 60});
    payload.pop_back();
    EXPECT_FALSE(read_stack_sample(bytes_of(payload)));
    EXPECT_FALSE(read_stack_sample(bytes_of(stack_record(9, 4, {}, {50}))));
    EXPECT_FALSE(read_stack_sample(bytes_of(stack_record(9, 4, words(257), {}))));
    EXPECT_FALSE(read_stack_sample(bytes_of(stack_record(9, 4, {1}, words(4097)))));
    EXPECT_TRUE(read_stack_sample(bytes_of(stack_record(9, 4, {1}, words(4096)))));
    EXPECT_FALSE(read_stack_sample({}));
}

TEST(repeat, is_read_and_none_of_nothing) {
    const words payload = repeat_record(5, 6, 7);
    const auto found = read_repeat(bytes_of(payload));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->thread_id, 5u);
    EXPECT_EQ(found->time_ns, 6u);
    EXPECT_EQ(found->count, 7u);
    EXPECT_TRUE(found->off_cpu);
    EXPECT_FALSE(read_repeat(bytes_of(repeat_record(5, 6, 0))));
    EXPECT_FALSE(read_repeat(bytes_of({1, 2})));
}

TEST(thread_name, is_read_and_ends_in_the_record) {
    const words payload = name_record(5, "worker", NMI_THREAD_FIRST);
    const auto found = read_thread_name(bytes_of(payload));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->thread_id, 5u);
    EXPECT_EQ(found->name, "worker");
    EXPECT_TRUE(found->first);
    const words longest = name_record(5, "123456789abcdef", 0);
    EXPECT_EQ(read_thread_name(bytes_of(longest))->name, "123456789abcdef");
    EXPECT_FALSE(read_thread_name(bytes_of(name_record(5, "123456789abcdefg", 0))));
    EXPECT_FALSE(read_thread_name(bytes_of({1, 2, 3})));
}

// Meant for AddressSanitizer: the payload is the whole of its block.
TEST(records, of_any_bytes_stay_inside_themselves) {
    std::mt19937_64 random(11);
    std::size_t read = 0;
    for (int i = 0; i < 50000; ++i) {
        words payload(random() % 40);
        for (std::uint64_t& word : payload)
            word = random() >> random() % 64 & (random() % 2 == 0 ? ~0ull : 0xf0000000full);
        const auto bytes = bytes_of(payload);
        std::uint64_t sum = 0;
        if (const auto one = read_sample(bytes)) {
            for (const std::uint64_t address : one->addresses)
                sum += address;
            ++read;
        }
        if (const auto one = read_stack_sample(bytes)) {
            for (const std::byte b : one->stack)
                sum += static_cast<std::uint64_t>(b);
            sum += one->instruction();
            ++read;
        }
        if (const auto one = read_thread_name(bytes)) sum += one->name.size();
        read += sum == 1;
    }
    EXPECT_GT(read, 1000u);
}

}  // namespace
}  // namespace nmircu::command
