// SPDX-License-Identifier: MIT
//
// The clock, on the time-stamp counter. Sources: Intel 8254 data sheet, control word and mode 0;
// port 0x61 of the PC/AT: bit 0 gates counter 2.
#include "platform/baremetal/clock.hpp"

#include <algorithm>

#include <nmircu/arch/cpu.hpp>
#include <nmircu/platform/port.hpp>

#include "platform/baremetal/instructions.hpp"

namespace nmircu::baremetal {

namespace {

constexpr std::uint16_t timer_counter_2 = 0x42, timer_control = 0x43, system_control_b = 0x61;
constexpr std::uint8_t counter_2_mode_0 = 0xb0, latch_counter_2 = 0x80;
constexpr std::uint8_t gate_2 = 0x01, speaker = 0x02;
constexpr std::uint64_t timer_hz = 1'193'182;
constexpr std::uint64_t measured_ticks = timer_hz / 100;

// Nanoseconds per cycle, and cycles per nanosecond, times 2^32. Written once.
constinit std::uint64_t ns_per_cycle = std::uint64_t{1} << 32;
constinit std::uint64_t cycles_per_ns = std::uint64_t{1} << 32;
constinit std::uint64_t started_at = 0;

// __extension__: no ISO C++ type is wide enough for the product.
__extension__ using wide = unsigned __int128;

std::uint64_t scaled(std::uint64_t value, std::uint64_t factor) noexcept {
    return static_cast<std::uint64_t>(wide{value} * factor >> 32);
}

std::uint16_t read_counter_2() noexcept {
    outb(timer_control, latch_counter_2);
    const unsigned low = inb(timer_counter_2);
    return static_cast<std::uint16_t>(low | static_cast<unsigned>(inb(timer_counter_2)) << 8);
}

// Cycles in measured_ticks of the timer, or more: an emulated CPU may be held up between a reading
// of the one and the other, which are in such an order that this can only add.
std::uint64_t cycles_of_the_measurement() noexcept {
    const auto others = static_cast<std::uint8_t>(inb(system_control_b) & ~(gate_2 | speaker));
    outb(system_control_b, others | gate_2);
    outb(timer_control, counter_2_mode_0);
    outb(timer_counter_2, 0xff);
    outb(timer_counter_2, 0xff);
    const std::uint64_t start = arch::cycle_counter();
    const std::uint16_t first = read_counter_2();
    std::uint16_t ticks = 0;
    while (ticks < measured_ticks)
        ticks = static_cast<std::uint16_t>(first - read_counter_2());
    const std::uint64_t cycles = arch::cycle_counter() - start;
    outb(system_control_b, others);
    return cycles * measured_ticks / ticks;
}

}  // namespace

void start_clock() noexcept {
    // The shortest of some: too long a one would make the clock slow for ever.
    std::uint64_t cycles = cycles_of_the_measurement();
    for (unsigned more = 0; more < 4; ++more)
        cycles = std::min(cycles, cycles_of_the_measurement());
    const std::uint64_t ns = measured_ticks * 1'000'000'000 / timer_hz;
    ns_per_cycle = (ns << 32) / cycles;
    cycles_per_ns = (cycles << 32) / ns;
    started_at = arch::cycle_counter();
}

std::uint64_t now_ns() noexcept {
    return scaled(arch::cycle_counter() - started_at, ns_per_cycle);
}

std::uint64_t cycles_of_ns(std::uint64_t ns) noexcept {
    return scaled(ns, cycles_per_ns);
}

void delay_ns(std::uint64_t ns) noexcept {
    const std::uint64_t start = now_ns();
    while (now_ns() - start < ns)
        arch::spin_hint();
}

}  // namespace nmircu::baremetal

namespace nmircu::platform {

std::uint64_t port::now_ns() noexcept {
    return baremetal::now_ns();
}

std::uint64_t port::cycles_to_ns(std::uint64_t cycles) noexcept {
    return baremetal::scaled(cycles, baremetal::ns_per_cycle);
}

}  // namespace nmircu::platform
