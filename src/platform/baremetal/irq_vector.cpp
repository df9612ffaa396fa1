// SPDX-License-Identifier: MIT
//
// From the entries of exceptions and IRQs (interrupt_entry.S) to whoever takes them. Lines are
// interrupt vectors: the same number.
#include "platform/baremetal/irq_vector.hpp"

#include <atomic>

#include <nmircu/detail/lifecycle.hpp>
#include <nmircu/irq.hpp>
#include <nmircu/platform/irq_line.hpp>
#include <nmircu/platform/irq_mask.hpp>
#include <nmircu/platform/port.hpp>
#include <nmircu/rcu.hpp>

#include "platform/baremetal/local_apic.hpp"
#include "platform/baremetal/pt_regs.hpp"
#include "platform/text.hpp"

extern "C" const unsigned char nmircu_halt_hlt[];

namespace nmircu::baremetal {

namespace {

constexpr unsigned exceptions = 32;

constinit exception_t exception_handler = nullptr;
constinit std::atomic<bool> attached[platform::irq_line_limit]{};

void report_unexpected(const pt_regs* regs) noexcept {
    platform::text_line line;
    line << "an interrupt on vector " << regs->vector
         << ", which nobody has requested; it interrupted "
         << reinterpret_cast<const void*>(regs->rip);
    platform::port::panic(line.c_str());
}

void take_line(pt_regs* regs) noexcept {
    // Relaxed: who attaches a line has done so before it lets interrupts arrive there.
    if (regs->vector >= platform::irq_line_limit ||
        !attached[regs->vector].load(std::memory_order_relaxed)) {
        return report_unexpected(regs);
    }
    detail::enter_section();
    detail::take_irq(regs, static_cast<int>(regs->vector));
    detail::exit_section();
    end_of_interrupt();
}

}  // namespace

void set_exception_handler(exception_t function) noexcept {
    exception_handler = function;
}

}  // namespace nmircu::baremetal

// Any context that an exception can occur in; irq. GS is ours.
extern "C" void nmircu_take_interrupt(pt_regs* regs) {
    using namespace nmircu::baremetal;
    if (regs->vector < exceptions) return exception_handler(regs);
    switch (regs->vector) {
        case wake_vector:
        case timer_vector:
            // The CPU is awake. If this came before the HLT (switch_stack.S), it stays awake.
            if (regs->rip == reinterpret_cast<std::uintptr_t>(nmircu_halt_hlt)) ++regs->rip;
            return end_of_interrupt();
        case spurious_vector:
            return;  // SDM volume 3, section 11.9: no EOI
        default:
            return take_line(regs);
    }
}

namespace nmircu::platform {

line_kind kind_of_line(int line) noexcept {
    if (line == 2) return line_kind::of_nmis;
    if (line < 0 || line >= irq_line_limit) return line_kind::none;
    return line < first_irq_line ? line_kind::fault : line_kind::usable;
}

int attach_line(int line) noexcept {
    baremetal::attached[line].store(true, std::memory_order_relaxed);  // see take_line
    // Handlers may retire from now on, and cannot create the thread that reclaims.
    detail::start_reclaimer_for_handlers();
    return 0;
}

void save_interrupt(saved_interrupt& to, const pt_regs* regs) noexcept {
    to = {regs->rip, regs->rsp, regs->rbp, static_cast<int>(regs->vector)};
}

bool take_saved_interrupt(const saved_interrupt& saved,
                          bool (*dispatch)(pt_regs* regs, int line)) noexcept {
    const std::uint32_t flags = mask_irqs();
    pt_regs regs{};
    regs.vector = static_cast<std::uint64_t>(saved.line);
    regs.rip = saved.instruction;
    regs.rsp = saved.stack;
    regs.rbp = saved.frame;
    detail::enter_section();
    const bool taken = dispatch(&regs, saved.line);
    detail::exit_section();
    unmask_irqs(flags);
    return taken;
}

}  // namespace nmircu::platform

namespace nmircu {

const void* irq_information(const pt_regs*) noexcept {
    return nullptr;
}

}  // namespace nmircu
