// SPDX-License-Identifier: MIT
//
// How often the threads of this process begin and stop running. Each time, the kernel has to set
// and cancel the timer of a perf event, which costs more than the interrupts where threads run for
// moments only. Context: thread; whoever owns one serialises.
#pragma once

#include <cstdint>

namespace nmircu::platform {

// Per second of CPU time. In a guest a switch with a perf event costs some 9 us more, so these are
// three per cent; on a real machine it is a fraction of that.
inline constexpr std::uint64_t most_switches_per_second = 3000;

class switch_rate {
  public:
    // Begins to look.
    void reset();
    // Whether it was above the limit in each of the last two tenths of a second of CPU time, or
    // more, between calls.
    bool stays_high();
    // As of the last such look.
    [[nodiscard]] std::uint64_t per_second() const { return per_second_; }

  private:
    std::uint64_t switches_ = 0;
    std::uint64_t cpu_us_ = 0;
    std::uint64_t per_second_ = 0;
    unsigned high_ = 0;
};

}  // namespace nmircu::platform
