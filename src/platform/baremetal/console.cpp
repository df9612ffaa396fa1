// SPDX-License-Identifier: MIT
//
// A 16550 UART (National Semiconductor PC16550D data sheet, section 8), polled.
#include "platform/baremetal/console.hpp"

#include <nmircu/arch/cpu.hpp>
#include <nmircu/platform/port.hpp>

#include "platform/baremetal/instructions.hpp"

namespace nmircu::baremetal {

namespace {

constexpr std::uint16_t com1 = 0x3f8;
constexpr std::uint16_t THR = com1, IER = com1 + 1, FCR = com1 + 2, LCR = com1 + 3, MCR = com1 + 4,
                        LSR = com1 + 5;
constexpr std::uint16_t DLL = com1, DLM = com1 + 1;
constexpr std::uint8_t LCR_8N1 = 0x03, LCR_DLAB = 0x80;
constexpr std::uint8_t FCR_ENABLE_AND_CLEAR = 0x07, MCR_DTR_RTS = 0x03;
constexpr std::uint8_t LSR_THRE = 0x20;

// A character takes 87 us; a port read about 1 us.
constexpr unsigned most_polls = 100'000;
constexpr unsigned most_spins = 100'000'000;

// The CPU that prints, plus one; 0: nobody.
constinit std::atomic<std::uint32_t> printing{0};

void put(char c) noexcept {
    for (unsigned poll = 0; poll < most_polls && (inb(LSR) & LSR_THRE) == 0; ++poll)
        arch::spin_hint();
    outb(THR, static_cast<std::uint8_t>(c));
}

// Whether the caller is to give it back.
bool take_turn(std::uint32_t me) noexcept {
    for (unsigned spin = 0; spin < most_spins; ++spin) {
        std::uint32_t nobody = 0;
        // Relaxed, here and below: the device takes characters in the order of this CPU's writes,
        // and nothing else is protected.
        if (printing.compare_exchange_strong(nobody, me, std::memory_order_relaxed,
                                             std::memory_order_relaxed)) {
            return true;
        }
        if (nobody == me) return false;  // this CPU is in the middle of a line
        arch::spin_hint();
    }
    return false;
}

}  // namespace

void start_console() noexcept {
    outb(IER, 0);
    outb(LCR, LCR_DLAB);
    outb(DLL, 1);
    outb(DLM, 0);
    outb(LCR, LCR_8N1);
    outb(FCR, FCR_ENABLE_AND_CLEAR);
    outb(MCR, MCR_DTR_RTS);
}

void print_line(const char* text) noexcept {
    const bool turn = take_turn(platform::port::current_cpu() + 1);
    if (!turn) put('\n');
    for (; *text != '\0'; ++text)
        put(*text);
    put('\n');
    if (turn) printing.store(0, std::memory_order_relaxed);  // see take_turn
}

}  // namespace nmircu::baremetal
