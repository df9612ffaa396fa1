// SPDX-License-Identifier: MIT
//
// The high-precision event timer: IA-PC HPET specification 1.0a, section 2.3. Its timers arrive at
// one pin of the I/O APIC, all of them. Thread context.
#pragma once

#include <cstdint>

namespace nmircu::baremetal {

inline constexpr unsigned timer_of_nmis = 0, timer_of_deadline = 1, timer_of_last_deadline = 2;

// The base address, 0 if there is none, and the pin that is wished for. False: it has none of its
// own, or cannot reach that pin. Once.
bool start_hpet(std::uintptr_t base, std::uint32_t pin) noexcept;

// One interrupt, after that time.
void start_hpet_once(unsigned timer, std::uint64_t ns) noexcept;
// One after the other. Only timer 0 need be able to.
void start_hpet_periodic(unsigned timer, std::uint64_t period_ns) noexcept;
void stop_hpet(unsigned timer) noexcept;

}  // namespace nmircu::baremetal
