// SPDX-License-Identifier: MIT
//
// Time: the time-stamp counter (SDM volume 3, section 18.17), whose rate is measured against the
// 8254 timer. Any context, once started.
#pragma once

#include <cstdint>

namespace nmircu::baremetal {

// Takes 50 ms. Thread context, once.
void start_clock() noexcept;

[[nodiscard]] std::uint64_t now_ns() noexcept;
[[nodiscard]] std::uint64_t cycles_of_ns(std::uint64_t ns) noexcept;

// Spins.
void delay_ns(std::uint64_t ns) noexcept;

}  // namespace nmircu::baremetal
