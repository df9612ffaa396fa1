// SPDX-License-Identifier: MIT
//
// The process's CPU time less that of the threads that are there; see thread_turnover.hpp.
#include "platform/linux/thread_turnover.hpp"

#include <algorithm>
#include <ctime>

#include "platform/linux/thread_list.hpp"
#include "platform/linux/thread_look.hpp"

namespace nmircu::platform {
namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::uint64_t look_ns = second_ns / 20;
constexpr std::uint64_t most_gone = 33;  // one part in so many
constexpr unsigned looks = 2;

std::uint64_t process_cpu_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * second_ns +
           static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace

void thread_turnover::reset() {
    process_ns_ = 0;
    known_.clear();
    high_ = 0;
}

void thread_turnover::look(const std::vector<int>& threads, std::uint64_t process_ns) {
    process_ns_ = process_ns;
    known_.clear();
    const auto add = [&](int thread_id) {
        if (const auto cpu_ns = cpu_time_of(thread_id)) known_.push_back({thread_id, *cpu_ns});
    };
    for (const int thread_id : threads)
        add(thread_id);
    // Nobody's business, but their time is in the process's.
    for (const int thread_id : hidden_threads())
        add(thread_id);
    std::sort(known_.begin(), known_.end(),
              [](const thread_time& a, const thread_time& b) { return a.thread_id < b.thread_id; });
}

std::uint64_t thread_turnover::seen_since(const std::vector<thread_time>& before) const {
    std::uint64_t sum = 0;
    auto old = before.begin();
    for (const thread_time& one : known_) {
        while (old != before.end() && old->thread_id < one.thread_id)
            ++old;
        const bool was_there = old != before.end() && old->thread_id == one.thread_id;
        sum += one.cpu_ns - (was_there ? std::min(old->cpu_ns, one.cpu_ns) : 0);
    }
    return sum;
}

bool thread_turnover::stays_high(const std::vector<int>& threads) {
    const std::uint64_t process_ns = process_cpu_ns();
    const std::uint64_t all = process_ns - process_ns_;
    if (process_ns_ == 0) {
        look(threads, process_ns);
        return false;
    }
    if (all < look_ns) return false;
    const std::vector<thread_time> before = std::move(known_);
    look(threads, process_ns);
    const std::uint64_t gone = all - std::min(seen_since(before), all);
    high_ = gone * most_gone > all ? high_ + 1 : 0;
    return high_ >= looks;
}

}  // namespace nmircu::platform
