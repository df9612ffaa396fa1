// SPDX-License-Identifier: MIT
//
// What the engine says of itself. Any context; sums are taken without stopping anyone.
#include <algorithm>

#include "rcu/reclaim.hpp"

namespace nmircu {

rcu_statistics rcu_read_statistics() noexcept {
    const auto& engine = rcu::engine;
    // In this order, and cut off: a caller that is preempted in between shows no backlog that never
    // was, nor a negative one.
    const std::uint64_t retired = rcu::retired_count();
    const std::uint64_t reclaimed = std::min(rcu::reclaimed_count(), retired);
    rcu::note_backlog(retired - reclaimed);
    return {engine.sequence.load(std::memory_order_relaxed) / 2,  // for people
            engine.shared_calls.load(std::memory_order_relaxed),  // for people
            rcu::port::cycles_to_ns(engine.latency.median()),
            rcu::port::cycles_to_ns(engine.latency.longest()),
            retired,
            reclaimed,
            retired - reclaimed,
            rcu::backlog_peak()};
}

unsigned rcu_read_latencies(rcu_latency_bucket* out, unsigned most) noexcept {
    const rcu::latency_histogram& latency = rcu::engine.latency;
    unsigned found = 0;
    for (unsigned bucket = 0; bucket < rcu::latency_histogram::buckets; ++bucket) {
        const std::uint64_t count = latency.count(bucket);
        if (count == 0) continue;
        if (found < most) {
            out[found] = {rcu::port::cycles_to_ns(rcu::latency_histogram::lower_bound(bucket)),
                          count};
        }
        ++found;
    }
    return found;
}

}  // namespace nmircu
