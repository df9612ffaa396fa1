// SPDX-License-Identifier: MIT
//
// What the name says: a CPU that spins with IRQs masked takes every one of 2,000 NMIs and none of
// the IRQs that are sent to it meanwhile; those arrive once it opens them. `open=1` on the command
// line is the control: the CPU does not mask IRQs, which must be noticed.
#include <nmircu/arch/cpu.hpp>

#include "baremetal/scenario.hpp"
#include "baremetal/scenarios/tally.hpp"

namespace nmircu::baremetal {

namespace {

constexpr unsigned nmis = 2000;
// As the local APIC keeps one arrival of a vector, each line stands for one IRQ.
constexpr int first_line = 40, lines = 32;

constinit tally nmis_taken, nmis_with_irqs_open, irqs_taken, irqs_while_masked;
constinit tally spinning, may_open;

int take_nmi(void*, pt_regs* regs, int) {
    nmis_taken.add();
    if ((regs->rflags & platform::interrupt_flag) != 0) nmis_with_irqs_open.add();
    return 1;
}

int take_irq(void*, pt_regs*, int) {
    irqs_taken.add();
    return irq_handled;
}

void spin_masked(void* open) {
    irq_flags flags{};
    if (open == nullptr) flags = local_irq_save();
    spinning.set(1);
    while (may_open.get() == 0)
        arch::spin_hint();
    irqs_while_masked.set(irqs_taken.get());
    if (open == nullptr) local_irq_restore(flags);
    static_cast<void>(wait_until(second_ns, [] { return irqs_taken.get() == unsigned{lines}; }));
}

bool request_lines(irq_handler (&handlers)[lines]) noexcept {
    for (int i = 0; i < lines; ++i) {
        char name[] = "line 00";
        name[5] = static_cast<char>('0' + i / 10);
        name[6] = static_cast<char>('0' + i % 10);
        if (handlers[i].request(first_line + i, name, take_irq, nullptr) != irq_error::none) {
            return false;
        }
    }
    return true;
}

// One at a time: NMIs merge, too.
unsigned send_nmis() noexcept {
    for (unsigned i = 0; i < nmis; ++i) {
        raise_irq(1, first_line + static_cast<int>(i) % lines);
        nmi_raise(1);
        if (!wait_until(second_ns, [i] { return nmis_taken.get() > i; })) return i;
    }
    return nmis;
}

verdict run() {
    if (cpus() < 2) return failed("this takes two CPUs (qemu: -smp 2)");
    irq_handler irqs[lines];
    nmi_handler handler;
    if (handler.add(nmi_type::local, "nonmaskable", take_nmi, nullptr) != nmi_error::none ||
        !request_lines(irqs)) {
        return failed("the handlers cannot be registered");
    }
    static char yes;
    start_on(1, spin_masked, option_number("open", 0) != 0 ? &yes : nullptr);
    if (!wait_until(second_ns, [] { return spinning.get() != 0; })) {
        return failed("CPU 1 has not begun");
    }
    const unsigned sent = send_nmis();
    may_open.set(1);
    if (!wait_for_cpu(1, 5 * second_ns)) return failed("CPU 1 has not ended");
    if (sent != nmis || nmis_taken.get() != nmis) {
        return failed(nmis_taken.get(), " of ", nmis, " NMIs were taken");
    }
    if (nmis_with_irqs_open.get() != 0 || irqs_while_masked.get() != 0) {
        return failed(irqs_while_masked.get(), " IRQs came while they were masked, and ",
                      nmis_with_irqs_open.get(), " NMIs found them open");
    }
    if (irqs_taken.get() != unsigned{lines}) {
        return failed(irqs_taken.get(), " of ", unsigned{lines},
                      " IRQs came after they were opened");
    }
    return passed(nmis, " of ", nmis, " NMIs and no IRQ with IRQs masked, then ", unsigned{lines},
                  " IRQs");
}

}  // namespace

NMIRCU_SCENARIO = {"nonmaskable", "a CPU with IRQs masked takes every NMI and no IRQ", 60, run};

}  // namespace nmircu::baremetal
