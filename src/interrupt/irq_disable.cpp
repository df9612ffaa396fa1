// SPDX-License-Identifier: MIT
//
// Disabling a line for the whole program, and taking what has come meanwhile when it is enabled.
#include <nmircu/irq.hpp>

#include "interrupt/irq_lines.hpp"
#include "rcu/engine.hpp"

namespace nmircu {

namespace interrupt {

namespace {

// Who empties a line. Never held by anybody in a section.
constinit platform::lock enabling;

void require_thread_context(const char* operation, const void* caller) noexcept {
    rcu::require_outside_sections(
        platform::this_reader(), operation, caller,
        "Leave the section or handler first; inside one, disable_irq_nosync");
}

// Relaxed: who asks has a registration of his own, or an error is as good as none.
irq_error check_line(int line) noexcept {
    if (!is_usable(line)) return irq_line_error(line);
    const bool used = irq_lines[line].users.load(std::memory_order_relaxed) != 0;
    return used ? irq_error::none : irq_error::not_requested;
}

irq_error disable(int line) noexcept {
    if (const irq_error error = check_line(line); error != irq_error::none) return error;
    return irq_lines[line].parked.disable() ? irq_error::none : irq_error::too_deep;
}

// Inside a section: who disables the line from now on waits until this is over.
bool take_parked(pt_regs* regs, int line) {
    if (!irq_lines[line].parked.taken()) return false;
    handle_irq(regs, line);
    return true;
}

void empty_locked(int line) noexcept {
    parked_interrupts& parked = irq_lines[line].parked;
    while (const platform::saved_interrupt* const next = parked.next())
        platform::take_saved_interrupt(*next, take_parked);
}

}  // namespace

void reset_line(int line) noexcept {
    platform::lock_guard guard(enabling);
    irq_line& state = irq_lines[line];
    state.parked.open();
    rcu_synchronize();
    if (const std::uint64_t dropped = state.parked.forget(); dropped != 0) {
        state.dropped.add_shared(dropped);
    }
}

void disabled_lines_forked() noexcept {
    enabling.reset();
    for (irq_line& line : irq_lines)
        line.parked.forked();
}

}  // namespace interrupt

using namespace interrupt;

irq_error disable_irq_nosync(int line) noexcept {
    return disable(line);
}

irq_error disable_irq(int line) noexcept {
    require_thread_context("disable_irq", __builtin_return_address(0));
    const irq_error error = disable(line);
    if (error == irq_error::none) rcu_synchronize();
    return error;
}

irq_error enable_irq(int line) noexcept {
    require_thread_context("enable_irq", __builtin_return_address(0));
    if (const irq_error error = check_line(line); error != irq_error::none) return error;
    if (irqs_disabled()) return irq_error::masked;
    platform::lock_guard guard(enabling);
    switch (irq_lines[line].parked.enable()) {
        case parked_interrupts::enabled::was_not_disabled:
            return irq_error::not_disabled;
        case parked_interrupts::enabled::still_disabled:
            return irq_error::none;
        case parked_interrupts::enabled::empties:
            break;
    }
    empty_locked(line);
    return irq_error::none;
}

irq_error synchronize_irq(int line) noexcept {
    rcu::require_outside_sections(platform::this_reader(), "synchronize_irq",
                                  __builtin_return_address(0),
                                  "Leave the section or handler first");
    if (!is_usable(line)) return irq_line_error(line);
    rcu_synchronize();
    return irq_error::none;
}

}  // namespace nmircu
