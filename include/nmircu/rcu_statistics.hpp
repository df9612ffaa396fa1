// SPDX-License-Identifier: MIT
//
// What the default domain has done so far: for people, and for programs that show it to them.
// Sums are taken without stopping anyone: exact once the domain is idle.
#pragma once

#include <cstdint>

#pragma GCC visibility push(default)

namespace nmircu {

// Of the grace periods that had nobody to wait for, one in sixteen is timed. Times include waiting
// for other updaters' grace periods.
struct rcu_statistics {
    std::uint64_t grace_periods;  // completed
    std::uint64_t shared;         // calls served by a grace period that another call ran
    std::uint64_t median_ns;      // of the completed ones, within 13 %
    std::uint64_t longest_ns;
    std::uint64_t retired;       // objects handed over so far
    std::uint64_t reclaimed;     // of those, the ones whose deleter has returned
    std::uint64_t backlog;       // the others
    std::uint64_t backlog_peak;  // the most that were seen waiting at once
};
// Context: any.
[[nodiscard]] rcu_statistics rcu_read_statistics() noexcept;

// One bucket of the histogram of the timed grace periods' durations: eight per power of two.
struct rcu_latency_bucket {
    std::uint64_t from_ns;  // up to the next eighth of a power of two
    std::uint64_t count;
};
// Copies the first `most` buckets that are not empty, in ascending order; returns how many there
// are. Context: any.
unsigned rcu_read_latencies(rcu_latency_bucket* out, unsigned most) noexcept;

}  // namespace nmircu

#pragma GCC visibility pop
