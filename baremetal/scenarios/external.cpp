// SPDX-License-Identifier: MIT
//
// An NMI from outside the machine: the line "host: inject-nmi" asks for one (baremetal/boot.py has
// the emulator's monitor raise it), and it comes through LINT1 to every CPU. It is of type
// external, and none of the local handlers' business; CPU 1 has IRQs masked meanwhile, the others
// sleep.
#include <nmircu/arch/cpu.hpp>

#include "baremetal/scenario.hpp"
#include "baremetal/scenarios/tally.hpp"

namespace nmircu::baremetal {

namespace {

constexpr unsigned injections = 5;
constexpr std::uint64_t host_takes_ns = 10 * second_ns;

constinit tally external[platform::max_cpus], local, may_end;

int take_external(void*, pt_regs*, int cpu) {
    external[cpu].add();
    return 1;
}
int take_local(void*, pt_regs*, int) {
    local.add();
    return 1;
}

void spin_masked(void*) {
    const irq_guard masked;
    while (may_end.get() == 0)
        arch::spin_hint();
}

// The first CPU that has not had so many; cpus(): each has.
unsigned first_below(std::uint64_t count) noexcept {
    unsigned cpu = 0;
    while (cpu < cpus() && external[cpu].get() >= count)
        ++cpu;
    return cpu;
}

verdict run() {
    nmi_handler externals, locals;
    if (externals.add(nmi_type::external, "external", take_external, nullptr) != nmi_error::none ||
        locals.add(nmi_type::local, "local", take_local, nullptr) != nmi_error::none) {
        return failed("the handlers cannot be registered");
    }
    if (cpus() > 1) start_on(1, spin_masked, nullptr);
    for (unsigned i = 1; i <= injections; ++i) {
        platform::port::report("host: inject-nmi");
        if (!wait_until(host_takes_ns, [i] { return first_below(i) == cpus(); })) {
            return failed("CPU ", first_below(i), " has had ", external[first_below(i)].get(),
                          " of ", i, " NMIs from outside");
        }
    }
    may_end.set(1);
    for (unsigned cpu = 0; cpu < cpus(); ++cpu) {
        const std::uint64_t had = external[cpu].get();
        if (had != injections || nmi_count(static_cast<int>(cpu)) != injections) {
            return failed("CPU ", cpu, " has had ", had, " NMIs from outside, of ", injections);
        }
    }
    if (local.get() != 0) return failed(local.get(), " of them were taken for local ones");
    return passed(injections, " NMIs from outside on each CPU");
}

}  // namespace

NMIRCU_SCENARIO = {"external", "NMIs from outside the machine (boot.py)", 60, run};

}  // namespace nmircu::baremetal
