// SPDX-License-Identifier: MIT
//
// What the IRQ layer asks the platform about lines and about the interrupt it is in. On the bare
// machine a line is an interrupt vector, 32 to 127.
#pragma once

#include <cstdint>

#include <nmircu/nmi.hpp>

namespace nmircu::platform {

// Lines are numbers below this. Vectors above are the platform's own.
inline constexpr int irq_line_limit = 128;
// SDM volume 3, section 6.2: vectors 0 to 31 are the processor's.
inline constexpr int first_irq_line = 32;

enum class line_kind : std::uint8_t {
    usable,
    none,         // no such vector, or not for lines
    unstoppable,  // not here
    fault,        // an exception
    of_libc,      // not here
    of_nmis,      // vector 2
};
[[nodiscard]] line_kind kind_of_line(int line) noexcept;

// The local APIC keeps one arrival per vector; others merge. Context: any.
[[nodiscard]] inline bool line_queues(int) noexcept {
    return false;
}

// From now on an arrival is no unexpected vector. Thread context. Returns 0.
int attach_line(int line) noexcept;
// What still arrives is counted as unhandled: a device may have sent it before it was told to stop.
inline void detach_line(int) noexcept {}

// Context: any.
[[nodiscard]] inline std::uint64_t lost_on_line(int) noexcept {
    return 0;
}

// Nobody had the line before. Context: irq.
[[nodiscard]] inline bool hand_line_to_previous_owner(pt_regs*, int) noexcept {
    return false;
}

// An interrupt that is to be taken later: the registers that the accessors of nmi.hpp give.
struct saved_interrupt {
    std::uintptr_t instruction, stack, frame;
    int line;
};
// Context: irq.
void save_interrupt(saved_interrupt& to, const pt_regs* regs) noexcept;
// Takes it on the calling thread: as in an interrupt, IRQs are masked, and `dispatch` runs inside a
// section. Thread context. Returns what dispatch did.
bool take_saved_interrupt(const saved_interrupt& saved,
                          bool (*dispatch)(pt_regs* regs, int line)) noexcept;

}  // namespace nmircu::platform
