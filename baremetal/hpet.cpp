// SPDX-License-Identifier: MIT
#include "baremetal/hpet.hpp"

#include <initializer_list>

namespace nmircu::baremetal {

namespace {

// By their names in section 2.3.2.
constexpr std::uintptr_t GCAP_ID = 0x00, GEN_CONF = 0x10, MAIN_CNT = 0xf0;
constexpr std::uintptr_t TIM0_CONF = 0x100, TIM0_COMP = 0x108, timer_stride = 0x20;

constexpr std::uint64_t GEN_CONF_ENABLE = 1;
constexpr std::uint64_t INT_ENB_CNF = 1 << 2, TYPE_CNF = 1 << 3, VAL_SET_CNF = 1 << 6;
constexpr unsigned INT_ROUTE_CNF = 9, INT_ROUTE_CAP = 32;

constinit std::uintptr_t base = 0;
constinit std::uint64_t femtoseconds_per_tick = 0;
constinit std::uint64_t route = 0;

volatile std::uint64_t& at(std::uintptr_t offset) noexcept {
    return *reinterpret_cast<volatile std::uint64_t*>(base + offset);
}
volatile std::uint64_t& configuration(unsigned timer) noexcept {
    return at(TIM0_CONF + timer * timer_stride);
}
volatile std::uint64_t& comparator(unsigned timer) noexcept {
    return at(TIM0_COMP + timer * timer_stride);
}

// Without a product that overflows: microseconds are enough.
std::uint64_t ticks_of(std::uint64_t ns) noexcept {
    const std::uint64_t ticks = ns / 1000 * 1'000'000'000 / femtoseconds_per_tick;
    return ticks == 0 ? 1 : ticks;
}

}  // namespace

bool start_hpet(std::uintptr_t address, std::uint32_t pin) noexcept {
    base = address;
    if (base == 0) return false;
    femtoseconds_per_tick = at(GCAP_ID) >> 32;
    const bool reaches_pin = (configuration(0) >> INT_ROUTE_CAP >> pin & 1) != 0;
    if (femtoseconds_per_tick == 0 || !reaches_pin) return false;
    route = std::uint64_t{pin} << INT_ROUTE_CNF;
    at(GEN_CONF) = 0;
    at(MAIN_CNT) = 0;
    for (const unsigned timer : {timer_of_nmis, timer_of_deadline, timer_of_last_deadline})
        configuration(timer) = route;
    at(GEN_CONF) = GEN_CONF_ENABLE;
    return true;
}

void start_hpet_once(unsigned timer, std::uint64_t ns) noexcept {
    configuration(timer) = route;
    comparator(timer) = at(MAIN_CNT) + ticks_of(ns);
    configuration(timer) = route | INT_ENB_CNF;
}

void start_hpet_periodic(unsigned timer, std::uint64_t period_ns) noexcept {
    const std::uint64_t ticks = ticks_of(period_ns);
    configuration(timer) = route | TYPE_CNF | VAL_SET_CNF;
    comparator(timer) = at(MAIN_CNT) + ticks;
    comparator(timer) = ticks;
    configuration(timer) = route | TYPE_CNF | INT_ENB_CNF;
}

void stop_hpet(unsigned timer) noexcept {
    configuration(timer) = route;
}

}  // namespace nmircu::baremetal
