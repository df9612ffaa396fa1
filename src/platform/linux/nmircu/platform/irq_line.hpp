// SPDX-License-Identifier: MIT
//
// What the IRQ layer asks the platform about lines and about the interrupt it is in. On Linux a
// line is a signal.
#pragma once

#include <cstdint>

#include <nmircu/nmi.hpp>

namespace nmircu::platform {

// Lines are numbers below this.
inline constexpr int irq_line_limit = 65;

enum class line_kind : std::uint8_t {
    usable,
    none,         // no such signal
    unstoppable,  // SIGKILL, SIGSTOP
    fault,        // raised by an instruction that would be repeated
    of_libc,      // glibc's own
    of_nmis,      // this library's NMIs
};
[[nodiscard]] line_kind kind_of_line(int line) noexcept;

// Whether arrivals queue, each with information of its own (real-time signals); else they merge.
// Context: any.
[[nodiscard]] bool line_queues(int line) noexcept;

// Takes the line, if somebody else has it or nobody. Its handlers are in place. Thread context,
// outside sections; blocks. Returns 0 or an errno value.
int attach_line(int line) noexcept;

// Gives the line back to whoever had it, before its last handler goes: from here on an interrupt
// that still gets to us and that nobody claims is for hand_line_to_previous_owner, which then has
// an owner, if only the system. Thread context, outside sections; blocks.
void detach_line(int line) noexcept;

// Interrupts lost on the line because the kernel would not take them back. Context: any.
[[nodiscard]] std::uint64_t lost_on_line(int line) noexcept;

// As hand_to_previous_owner, for a line. Context: irq.
[[nodiscard]] bool hand_line_to_previous_owner(pt_regs* regs, int line) noexcept;

// An interrupt that is to be taken later: what it says, and the registers that the accessors of
// nmi.hpp give.
struct saved_interrupt {
    unsigned char information[48];  // all that the kernel keeps of a siginfo
    std::uintptr_t instruction, stack, frame;
};
// Context: irq.
void save_interrupt(saved_interrupt& to, const pt_regs* regs) noexcept;
// Takes it on the calling thread: as in an interrupt, IRQs are masked, errno is kept, and
// `dispatch` runs inside a section; then, if asked for, the previous owner, outside.
// Thread context. Returns what dispatch did.
bool take_saved_interrupt(const saved_interrupt& saved,
                          bool (*dispatch)(pt_regs* regs, int line)) noexcept;

}  // namespace nmircu::platform
