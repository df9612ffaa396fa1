// SPDX-License-Identifier: MIT
//
// What goes wrong on purpose: each of these must end the machine with a line that says what it was.
#include <nmircu/arch/cpu.hpp>

#include "baremetal/acpi.hpp"
#include "baremetal/scenario.hpp"

namespace nmircu::baremetal {

namespace {

// A vector that nobody has requested.
verdict run_unexpected_vector() {
    raise_irq(0, 77);
    static_cast<void>(wait_until(1'000'000'000, [] { return false; }));
    return failed("nobody minded vector 77");
}

// An APIC id that the firmware promises and the machine does not have.
verdict run_absent_cpu() {
    static constinit machine_description wrong{};
    wrong.cpus = 2;
    wrong.apic_id[0] = local_apic_id();
    wrong.apic_id[1] = 200;
    start_cpus(wrong, 2);
    return failed("CPU 1 has started, which does not exist");
}

// A scenario that does not end, on a CPU that takes no IRQs.
verdict run_endless() {
    cli();
    for (;;)
        arch::spin_hint();
}

// A bug: a call to where there is no code, from a function that the backtrace must name.
[[gnu::noinline]] void call_nowhere() {
    void (*function)() = reinterpret_cast<void (*)()>(0xffff'8000'0000'0000);
    asm("" : "+r"(function));  // the compiler does not know
    function();
    asm volatile("nop");  // no tail call
}
verdict run_wild_jump() {
    call_nowhere();
    return failed("a call to nowhere has returned");
}

}  // namespace

NMIRCU_SCENARIO = {"unexpected_vector", "fails: a vector that nobody has requested", 10,
                   run_unexpected_vector};
NMIRCU_SCENARIO = {"absent_cpu", "fails: a CPU that does not start", 20, run_absent_cpu};
NMIRCU_SCENARIO = {"endless", "fails: does not end", 3, run_endless};
NMIRCU_SCENARIO = {"wild_jump", "fails: a call to nowhere", 10, run_wild_jump};

}  // namespace nmircu::baremetal
