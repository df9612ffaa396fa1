// SPDX-License-Identifier: MIT
//
// What the readers saw and the updaters did. Any context.
//
// The Reader Pipe, as in the kernel's rcutorture: for every read, how many steps down the pipe its
// element was when the reader had done with it. 0: in the structure. 1: taken out, perhaps while
// the reader was looking. 2 and more: one grace period and more have passed since: the failure that
// all this is for. The Reader Batch: how many grace periods ended during the section. 1 may be, if
// it had begun before; a second one has begun and ended beside an open section: a failure, too.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "kinds.hpp"

namespace torture {

inline constexpr unsigned oldest = 10;
using histogram = std::array<std::uint64_t, oldest + 1>;
inline constexpr unsigned oldest_allowed = 1;

inline std::uint64_t reads_of(const histogram& ages) noexcept {
    std::uint64_t sum = 0;
    for (const std::uint64_t count : ages)
        sum += count;
    return sum;
}
inline std::uint64_t failures_of(const histogram& ages) noexcept {
    return reads_of(ages) - ages[0] - ages[oldest_allowed];
}

class tally_state {
  public:
    void read(reader kind, std::uint64_t age, std::uint64_t ended) noexcept {
        shard& mine = this_shard();
        // Relaxed, all of them: sums for people, final once the threads have been joined.
        mine.pipe[kind][age < oldest ? age : oldest].fetch_add(1, std::memory_order_relaxed);
        mine.batch[ended < oldest ? ended : oldest].fetch_add(1, std::memory_order_relaxed);
        if (age > oldest_allowed || ended > oldest_allowed) fail();
    }
    void grace_period(updater kind) noexcept {
        grace_periods_[kind].fetch_add(1, std::memory_order_relaxed);
    }
    void barrier_too_early() noexcept {
        early_barriers_.fetch_add(1, std::memory_order_relaxed);
        fail();
    }
    void child(bool well) noexcept {
        children_.fetch_add(1, std::memory_order_relaxed);
        if (well) return;
        bad_children_.fetch_add(1, std::memory_order_relaxed);
        fail();
    }

    [[nodiscard]] bool failed() const noexcept { return failed_.load(std::memory_order_relaxed); }
    [[nodiscard]] histogram pipe(reader kind) const noexcept;
    [[nodiscard]] histogram pipe() const noexcept;
    [[nodiscard]] histogram batch() const noexcept;
    [[nodiscard]] std::uint64_t grace_periods(updater kind) const noexcept {
        return grace_periods_[kind].load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t early_barriers() const noexcept {
        return early_barriers_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t children() const noexcept {
        return children_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t bad_children() const noexcept {
        return bad_children_.load(std::memory_order_relaxed);
    }
    // In a forked child.
    void forget() noexcept;

  private:
    using counts = std::array<std::atomic<std::uint64_t>, oldest + 1>;
    struct alignas(128) shard {
        counts pipe[reader_kinds];
        counts batch;
    };
    static constexpr unsigned shard_count = 32;

    static void add(histogram& sum, const counts& one) noexcept;
    shard& this_shard() noexcept;
    void fail() noexcept { failed_.store(true, std::memory_order_relaxed); }

    shard shards_[shard_count] = {};
    std::atomic<std::uint64_t> grace_periods_[updater_kinds] = {};
    std::atomic<std::uint64_t> early_barriers_{0}, children_{0}, bad_children_{0};
    std::atomic<bool> failed_{false};
};
extern constinit tally_state tally;

}  // namespace torture
