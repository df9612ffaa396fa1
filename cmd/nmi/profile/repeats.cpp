// SPDX-License-Identifier: MIT
//
// Repeats and their samples; see repeats.hpp.
#include <nmi/profile/repeats.hpp>

#include <algorithm>
#include <iterator>

namespace nmircu::command {

void repeats::put_in_order(thread& which) {
    if (which.in_order) return;
    std::stable_sort(which.samples.begin(), which.samples.end(),
                     [](const moment& a, const moment& b) { return a.time_ns < b.time_ns; });
    which.in_order = true;
}

// A repeat that is not settled yet is of the last round or this one, and means a sample that was
// read since, or the latest of those before.
void repeats::forget_old(thread& which) const {
    std::vector<moment>& samples = which.samples;
    put_in_order(which);
    const auto recent = std::find_if(samples.begin(), samples.end(),
                                     [&](const moment& m) { return m.round + 2 > round_; });
    if (recent - samples.begin() > 1) samples.erase(samples.begin(), recent - 1);
}

void repeats::sampled(std::uint32_t thread_id, std::uint64_t time_ns, std::uint32_t which) {
    thread& known = threads_[thread_id];
    if (known.forgot_in_round != round_) {
        forget_old(known);
        known.forgot_in_round = round_;
    }
    if (!known.samples.empty() && known.samples.back().time_ns > time_ns) known.in_order = false;
    known.samples.push_back({time_ns, round_, which});
}

void repeats::repeated(const repeat& found) {
    this_round_.push_back(found);
}

void repeats::settle(const repeat& one) {
    thread& known = threads_[one.thread_id];
    put_in_order(known);
    const auto after = std::upper_bound(
        known.samples.begin(), known.samples.end(), one.time_ns,
        [](std::uint64_t time_ns, const moment& m) { return time_ns < m.time_ns; });
    if (after == known.samples.begin()) {
        orphaned_ += one.count;
    } else {
        settled_.push_back({std::prev(after)->which, one.count, one.off_cpu});
    }
}

const std::vector<repeats::settled>& repeats::begin_round() {
    ++round_;
    settled_.clear();
    for (const repeat& one : last_round_)
        settle(one);
    last_round_.swap(this_round_);
    this_round_.clear();
    return settled_;
}

const std::vector<repeats::settled>& repeats::finish() {
    settled_.clear();
    for (const auto* round : {&last_round_, &this_round_}) {
        for (const repeat& one : *round)
            settle(one);
    }
    last_round_.clear();
    this_round_.clear();
    return settled_;
}

}  // namespace nmircu::command
