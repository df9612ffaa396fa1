// SPDX-License-Identifier: MIT
//
// Property: the histogram's median is the lower bound of the bucket that holds it, never off by
// more than an eighth, for durations of any size.
#include <gtest/gtest.h>

#include "rcu/latency.hpp"

namespace {

using nmircu::rcu::latency_histogram;

TEST(latency_histogram, every_value_is_within_an_eighth_of_its_bucket) {
    for (std::uint64_t ns = 1; ns < (1ull << 60); ns += ns / 3 + 1) {
        const std::uint64_t low = latency_histogram::lower_bound(latency_histogram::bucket_of(ns));
        EXPECT_LE(low, ns);
        EXPECT_LE(ns - low, ns / 8) << ns;
    }
}

TEST(latency_histogram, median_and_longest) {
    latency_histogram histogram;
    EXPECT_EQ(histogram.median(), 0u);
    for (std::uint64_t ns : {1, 2, 3, 4, 1000})
        histogram.add(ns);
    EXPECT_EQ(histogram.median(), 3u);
    EXPECT_EQ(histogram.longest(), 1000u);
    EXPECT_EQ(histogram.total(), 5u);
}

TEST(latency_histogram, takes_the_largest_value) {
    latency_histogram histogram;
    histogram.add(~std::uint64_t{0});
    EXPECT_EQ(histogram.longest(), ~std::uint64_t{0});
    EXPECT_GT(histogram.median(), ~std::uint64_t{0} / 8 * 7);
}

}  // namespace
