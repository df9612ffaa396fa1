// SPDX-License-Identifier: MIT
//
// The local APIC's registers, by their names in SDM volume 3, table 11-1.
#include "platform/baremetal/local_apic.hpp"

#include <nmircu/arch/cpu.hpp>

#include "platform/baremetal/clock.hpp"

namespace nmircu::baremetal {

namespace {

constexpr std::uintptr_t base = 0xfee00000;

enum reg : std::uint32_t {
    ID = 0x20,
    TPR = 0x80,
    EOI = 0xb0,
    SVR = 0xf0,
    ICR_LOW = 0x300,
    ICR_HIGH = 0x310,
    LVT_TIMER = 0x320,
    LVT_LINT0 = 0x350,
    LVT_LINT1 = 0x360,
    TIMER_INITIAL_COUNT = 0x380,
    TIMER_CURRENT_COUNT = 0x390,
    TIMER_DIVIDE = 0x3e0,
};

constexpr std::uint32_t SVR_ENABLED = 1 << 8;
constexpr std::uint32_t LVT_MASKED = 1 << 16, LVT_NMI = 4 << 8;
constexpr std::uint32_t ICR_PENDING = 1 << 12;
constexpr std::uint32_t divide_by_16 = 3;
constexpr unsigned most_polls = 1'000'000;

constinit std::uint64_t timer_ticks_per_ms = 0;

volatile std::uint32_t& at(reg which) noexcept {
    return *reinterpret_cast<volatile std::uint32_t*>(base + which);
}

}  // namespace

void start_local_apic() noexcept {
    at(SVR) = SVR_ENABLED | spurious_vector;
    at(TPR) = 0;
    at(LVT_LINT0) = LVT_MASKED;
    at(LVT_LINT1) = LVT_NMI;
    at(LVT_TIMER) = LVT_MASKED | timer_vector;
    at(TIMER_DIVIDE) = divide_by_16;
}

std::uint32_t local_apic_id() noexcept {
    return at(ID) >> 24;
}

void wait_until_ipi_is_sent() noexcept {
    for (unsigned poll = 0; poll < most_polls && (at(ICR_LOW) & ICR_PENDING) != 0; ++poll)
        arch::spin_hint();
}

void send_ipi(std::uint32_t apic_id, std::uint32_t command) noexcept {
    // An NMI between the two stores puts the first one's value back.
    const std::uint32_t before = at(ICR_HIGH);
    wait_until_ipi_is_sent();
    at(ICR_HIGH) = apic_id << 24;
    at(ICR_LOW) = command;
    at(ICR_HIGH) = before;
}

void end_of_interrupt() noexcept {
    at(EOI) = 0;
}

void measure_local_timer() noexcept {
    constexpr std::uint64_t ms_ns = 1'000'000;
    const std::uint64_t start = now_ns();
    at(TIMER_INITIAL_COUNT) = ~0u;
    delay_ns(ms_ns);
    const std::uint64_t ticks = ~0u - at(TIMER_CURRENT_COUNT);
    const std::uint64_t took = now_ns() - start;  // more, if an emulated CPU was held up
    timer_ticks_per_ms = ticks * ms_ns / took;
    at(TIMER_INITIAL_COUNT) = 0;
}

void start_local_timer(std::uint64_t ns) noexcept {
    constexpr std::uint64_t longest_ms = 10'000;
    const std::uint64_t us = ns / 1000 < longest_ms * 1000 ? ns / 1000 : longest_ms * 1000;
    const std::uint64_t ticks = us * timer_ticks_per_ms / 1000;
    at(LVT_TIMER) = timer_vector;
    at(TIMER_INITIAL_COUNT) = ticks == 0 ? 1 : ticks >> 32 != 0 ? ~0u : std::uint32_t(ticks);
}

void stop_local_timer() noexcept {
    at(TIMER_INITIAL_COUNT) = 0;
    at(LVT_TIMER) = LVT_MASKED | timer_vector;
}

volatile std::uint32_t* icr_low() noexcept {
    return &at(ICR_LOW);
}

void set_icr_destination(std::uint32_t apic_id) noexcept {
    at(ICR_HIGH) = apic_id << 24;
}

}  // namespace nmircu::baremetal
