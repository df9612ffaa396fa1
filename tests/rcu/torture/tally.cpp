// SPDX-License-Identifier: MIT
//
// Sums over the shards of the tally.
#include "tally.hpp"

namespace torture {

constinit tally_state tally;

namespace {

std::atomic<unsigned> threads{0};
constinit thread_local unsigned number = 0;  // 0: not yet given

}  // namespace

tally_state::shard& tally_state::this_shard() noexcept {
    // A handler that comes in between takes a number that is then lost.
    if (number == 0) number = 1 + threads.fetch_add(1, std::memory_order_relaxed);  // any number
    return shards_[number % shard_count];
}

void tally_state::add(histogram& sum, const counts& one) noexcept {
    for (unsigned age = 0; age <= oldest; ++age)
        sum[age] += one[age].load(std::memory_order_relaxed);  // sums for people
}

histogram tally_state::pipe(reader kind) const noexcept {
    histogram sum = {};
    for (const shard& one : shards_)
        add(sum, one.pipe[kind]);
    return sum;
}

histogram tally_state::pipe() const noexcept {
    histogram sum = {};
    for (const shard& one : shards_) {
        for (const counts& kind : one.pipe)
            add(sum, kind);
    }
    return sum;
}

histogram tally_state::batch() const noexcept {
    histogram sum = {};
    for (const shard& one : shards_)
        add(sum, one.batch);
    return sum;
}

// There is one thread: relaxed throughout.
void tally_state::forget() noexcept {
    for (shard& one : shards_) {
        for (counts& kind : one.pipe) {
            for (auto& count : kind)
                count.store(0, std::memory_order_relaxed);
        }
        for (auto& count : one.batch)
            count.store(0, std::memory_order_relaxed);
    }
    for (auto& count : grace_periods_)
        count.store(0, std::memory_order_relaxed);
    for (auto* const count : {&early_barriers_, &children_, &bad_children_})
        count->store(0, std::memory_order_relaxed);
    failed_.store(false, std::memory_order_relaxed);
}

}  // namespace torture
