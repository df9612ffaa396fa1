// SPDX-License-Identifier: MIT
//
// A histogram of durations in nanoseconds: eight buckets per power of two, so a quantile is within
// an eighth. One writer at a time (the caller's lock), any readers. Freestanding.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

namespace nmircu::rcu {

class latency_histogram {
  public:
    // `times`: what one duration stands for.
    void add(std::uint64_t ns, std::uint64_t times = 1) noexcept {
        // Relaxed throughout: counters for people, nothing is published through them.
        auto& count = counts_[bucket_of(ns)];
        count.store(count.load(std::memory_order_relaxed) + times, std::memory_order_relaxed);
        if (ns > longest_.load(std::memory_order_relaxed)) {
            longest_.store(ns, std::memory_order_relaxed);
        }
    }

    [[nodiscard]] std::uint64_t longest() const noexcept {
        return longest_.load(std::memory_order_relaxed);
    }

    [[nodiscard]] std::uint64_t total() const noexcept {
        std::uint64_t sum = 0;
        for (const auto& count : counts_)
            sum += count.load(std::memory_order_relaxed);
        return sum;
    }

    [[nodiscard]] std::uint64_t count(unsigned bucket) const noexcept {
        return counts_[bucket].load(std::memory_order_relaxed);
    }

    // The lower bound of the bucket that holds the median; 0 if there is nothing.
    [[nodiscard]] std::uint64_t median() const noexcept {
        const std::uint64_t half = (total() + 1) / 2;
        std::uint64_t seen = 0;
        for (unsigned bucket = 0; bucket < buckets; ++bucket) {
            seen += counts_[bucket].load(std::memory_order_relaxed);
            if (seen >= half && seen != 0) return lower_bound(bucket);
        }
        return 0;
    }

    static constexpr unsigned bucket_of(std::uint64_t ns) noexcept {
        if (ns < 8) return static_cast<unsigned>(ns);
        const unsigned power = static_cast<unsigned>(std::bit_width(ns)) - 1;
        return (power - 2) * 8 + static_cast<unsigned>((ns >> (power - 3)) & 7);
    }
    static constexpr std::uint64_t lower_bound(unsigned bucket) noexcept {
        if (bucket < 8) return bucket;
        const unsigned power = bucket / 8 + 2;
        return (std::uint64_t{8} + bucket % 8) << (power - 3);
    }

    static constexpr unsigned buckets = 62 * 8;

  private:
    std::atomic<std::uint64_t> counts_[buckets]{};
    std::atomic<std::uint64_t> longest_{0};
};

static_assert(latency_histogram::bucket_of(~std::uint64_t{0}) < latency_histogram::buckets);
static_assert(latency_histogram::lower_bound(latency_histogram::bucket_of(1000)) <= 1000);

}  // namespace nmircu::rcu
