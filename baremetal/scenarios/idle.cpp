// SPDX-License-Identifier: MIT
//
// CPUs that sleep in HLT: they are no obstacle to a grace period and are not woken by one; who
// waits for a handler sleeps too, until that is over; and a wake-up that an NMI sends between STI
// and HLT is not lost, although the NMI's IRET lets it in before the HLT.
#include <nmircu/arch/cpu.hpp>

#include "baremetal/scenario.hpp"
#include "baremetal/scenarios/breakpoints.hpp"
#include "baremetal/scenarios/tally.hpp"

extern "C" const unsigned char nmircu_halt_hlt[];

namespace nmircu::baremetal {

namespace {

constexpr unsigned grace_periods = 10'000;
constexpr std::uint64_t handler_takes_ns = 100'000'000;

constinit tally inside;
constinit std::atomic<std::uint32_t> word{0};

std::uint64_t wake_ups(unsigned cpu) noexcept {
    return __atomic_load_n(&cpu_areas[cpu].wake_ups, __ATOMIC_RELAXED);  // a count
}
std::uint64_t wake_ups_of_others() noexcept {
    std::uint64_t sum = 0;
    for (unsigned cpu = 1; cpu < cpus(); ++cpu)
        sum += wake_ups(cpu);
    return sum;
}
bool others_sleep() noexcept {
    for (unsigned cpu = 1; cpu < cpus(); ++cpu) {
        // Relaxed: nobody wakes them.
        if (cpu_areas[cpu].halted.load(std::memory_order_relaxed) == 0) return false;
    }
    return true;
}

// That the counter counts: an interrupt to each.
bool each_can_be_woken() noexcept {
    const std::uint64_t before = wake_ups_of_others();
    for (unsigned cpu = 1; cpu < cpus(); ++cpu)
        raise_irq(cpu, wake_vector);
    return wait_until(second_ns, [before] { return wake_ups_of_others() - before == cpus() - 1; });
}

int linger(void*, pt_regs*, int) {
    inside.set(1);
    delay_ns(handler_takes_ns);
    inside.set(2);
    return 1;
}

const char* wait_for_a_handler() noexcept {
    nmi_handler handler;
    if (handler.add(nmi_type::local, "idle", linger, nullptr) != nmi_error::none) {
        return "the handler cannot be registered";
    }
    const std::uint64_t own_before = wake_ups(0);
    nmi_raise(1);
    while (inside.get() == 0)
        arch::spin_hint();
    const std::uint64_t others_before = wake_ups_of_others();
    rcu_synchronize();
    if (inside.get() != 2) return "a grace period ended inside a handler";
    const std::uint64_t slept = wake_ups(0) - own_before;
    if (slept == 0) return "who waits for a handler does not sleep";
    if (slept > 3) return "who waits for a handler is woken again and again";
    // The one that took the NMI.
    if (wake_ups_of_others() - others_before > 1) return "a grace period woke somebody who slept";
    return nullptr;
}

int wake(void*, pt_regs* regs, int) {
    if (regs->rip == reinterpret_cast<std::uintptr_t>(nmircu_halt_hlt)) inside.add();
    word.store(1, std::memory_order_relaxed);  // ordered by wake_all
    platform::port::wake_all(word);
    return 1;
}

// Waits for the word, and has an NMI change it just before the HLT.
const char* be_woken_before_hlt() noexcept {
    nmi_handler handler;
    if (handler.add(nmi_type::local, "idle", wake, nullptr) != nmi_error::none) {
        return "the handler cannot be registered";
    }
    inside.set(0);
    const irq_flags flags = local_irq_save();
    mask_nmis();  // until the stop returns
    stop_before(reinterpret_cast<std::uintptr_t>(nmircu_halt_hlt), [] { nmi_raise_self(); });
    local_irq_restore(flags);
    const std::uint64_t start = now_ns();
    const platform::wait_result result = platform::port::wait(word, 0, second_ns);
    const std::uint64_t took = now_ns() - start;
    const bool hit = stop_nowhere();
    let_nmis_in();
    if (!hit || inside.get() != 1) return "no NMI came between STI and HLT";
    if (result != platform::wait_result::woken || took > second_ns / 2) {
        return "a wake-up between STI and HLT was lost";
    }
    return nullptr;
}

verdict run() {
    if (cpus() < 2) return failed("this takes two CPUs (qemu: -smp 2)");
    if (!wait_until(second_ns, others_sleep)) return failed("the other CPUs do not sleep");
    if (!each_can_be_woken() || !wait_until(second_ns, others_sleep)) {
        return failed("an interrupt does not wake a CPU, or not once");
    }
    const std::uint64_t before = wake_ups_of_others();
    for (unsigned i = 0; i < grace_periods; ++i)
        rcu_synchronize();
    if (const std::uint64_t woken = wake_ups_of_others() - before; woken != 0) {
        return failed(grace_periods, " grace periods woke sleeping CPUs ", woken, " times");
    }
    if (const char* const what = wait_for_a_handler(); what != nullptr) return failed(what);
    if (const char* const what = be_woken_before_hlt(); what != nullptr) return failed(what);
    return passed(grace_periods, " grace periods, nobody woken");
}

}  // namespace

NMIRCU_SCENARIO = {"idle", "CPUs that sleep neither hold up a grace period nor are woken", 60, run};

}  // namespace nmircu::baremetal
