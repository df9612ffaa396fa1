// SPDX-License-Identifier: MIT
//
// How much of the CPU time is of threads that come and go between two looks. Of such a thread a
// perf event tells too little: its first period may never end, and when the kernel swaps the events
// of two threads instead of switching them, the other one's period is lost with it. Context:
// thread; whoever owns one serialises.
#pragma once

#include <cstdint>
#include <vector>

namespace nmircu::platform {

class thread_turnover {
  public:
    // Begins to look.
    void reset();
    // `threads` are all there are, ascending. Whether it was above three per cent at each of the
    // last two looks; one is taken for every twentieth of a second of CPU time, or more, between
    // calls.
    bool stays_high(const std::vector<int>& threads);

  private:
    struct thread_time {
        int thread_id;
        std::uint64_t cpu_ns;
    };
    void look(const std::vector<int>& threads, std::uint64_t process_ns);
    [[nodiscard]] std::uint64_t seen_since(const std::vector<thread_time>& before) const;

    // As of the last look.
    std::uint64_t process_ns_ = 0;
    std::vector<thread_time> known_;  // ascending
    unsigned high_ = 0;
};

}  // namespace nmircu::platform
