// SPDX-License-Identifier: MIT
//
// Cycles to nanoseconds, by comparing the cycle counter with the clock between the program's start
// and now: no calibration loop, no sleep, and the longer the program runs the better it gets.
#include <nmircu/platform/port.hpp>

#include <nmircu/arch/cpu.hpp>

namespace nmircu::platform {

namespace {

struct moment {
    std::uint64_t cycles;
    std::uint64_t ns;
};

moment now() noexcept {
    return {arch::cycle_counter(), port::now_ns()};
}

moment start;

[[gnu::constructor(101)]] void remember_start() noexcept {
    start = now();
}

}  // namespace

std::uint64_t port::cycles_to_ns(std::uint64_t cycles) noexcept {
    const moment here = now();
    const std::uint64_t spent_cycles = here.cycles - start.cycles;
    if (spent_cycles == 0) return cycles;
    const auto scaled =
        static_cast<unsigned __int128>(cycles) * (here.ns - start.ns) / spent_cycles;
    return static_cast<std::uint64_t>(scaled);
}

}  // namespace nmircu::platform
