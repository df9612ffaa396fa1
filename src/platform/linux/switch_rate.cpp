// SPDX-License-Identifier: MIT
//
// The kernel's counts; see switch_rate.hpp.
#include "platform/linux/switch_rate.hpp"

#include <sys/resource.h>

namespace nmircu::platform {
namespace {

constexpr std::uint64_t second_us = 1'000'000;
constexpr std::uint64_t look_us = second_us / 10;
constexpr unsigned looks = 2;

std::uint64_t microseconds(const timeval& time) {
    return static_cast<std::uint64_t>(time.tv_sec) * second_us +
           static_cast<std::uint64_t>(time.tv_usec);
}

struct usage {
    std::uint64_t switches = 0;
    std::uint64_t cpu_us = 0;
};

usage now() {
    struct rusage all {};
    ::getrusage(RUSAGE_SELF, &all);
    return {static_cast<std::uint64_t>(all.ru_nvcsw + all.ru_nivcsw),
            microseconds(all.ru_utime) + microseconds(all.ru_stime)};
}

}  // namespace

void switch_rate::reset() {
    const usage begin = now();
    switches_ = begin.switches;
    cpu_us_ = begin.cpu_us;
    high_ = 0;
}

bool switch_rate::stays_high() {
    const usage end = now();
    const std::uint64_t cpu_us = end.cpu_us - cpu_us_;
    if (cpu_us < look_us) return false;
    per_second_ = (end.switches - switches_) * second_us / cpu_us;
    switches_ = end.switches;
    cpu_us_ = end.cpu_us;
    high_ = per_second_ > most_switches_per_second ? high_ + 1 : 0;
    return high_ >= looks;
}

}  // namespace nmircu::platform
