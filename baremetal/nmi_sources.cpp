// SPDX-License-Identifier: MIT
#include "baremetal/nmi_sources.hpp"

#include <nmircu/nmi.hpp>
#include <nmircu/platform/port.hpp>

#include "baremetal/acpi.hpp"
#include "baremetal/hpet.hpp"
#include "baremetal/io_apic.hpp"
#include "baremetal/verdict.hpp"
#include "platform/baremetal/ask_cpus.hpp"
#include "platform/baremetal/clock.hpp"
#include "platform/baremetal/console.hpp"
#include "platform/baremetal/cpu_area.hpp"
#include "platform/baremetal/nmi_vector.hpp"
#include "platform/baremetal/panic.hpp"
#include "platform/baremetal/pt_regs.hpp"
#include "platform/text.hpp"

namespace nmircu::baremetal {

namespace {

constexpr std::uint64_t a_second_ns = 1'000'000'000;

constinit bool works = false;
constinit std::atomic<bool> timer_runs{false};
constinit const char* deadline_of = nullptr;
constinit std::uint64_t deadline_s = 0;
constinit std::atomic<std::uint64_t> deadline_ns{~std::uint64_t{0}};

// Relaxed, all of this file: flags that the interrupt itself orders.
void check_deadline(const pt_regs* regs) noexcept {
    if (now_ns() < deadline_ns.load(std::memory_order_relaxed)) return;
    // One CPU says so, CPU 0 if it can.
    if (platform::port::current_cpu() != 0) delay_ns(a_second_ns / 5);
    if (deadline_ns.exchange(~std::uint64_t{0}, std::memory_order_relaxed) == ~std::uint64_t{0}) {
        return;
    }
    show_backtrace(regs);
    platform::text_line line;
    line << "not over after " << deadline_s << " s; CPU " << platform::port::current_cpu()
         << " was there";
    end_with_failure(deadline_of, line.c_str());
}

// Context: nmi.
bool take_unraised(pt_regs* regs) {
    if (answer_question(this_cpu_area(), regs)) return true;
    check_deadline(regs);
    if (timer_runs.load(std::memory_order_relaxed)) {
        regs->error = static_cast<std::uint64_t>(nmi_type::local);
    }
    return false;
}

void show_cpu(pt_regs* regs, void*) {
    platform::text_line line;
    line << "CPU " << platform::port::current_cpu() << ":";
    print_line(line.c_str());
    show_backtrace(regs);
}

}  // namespace

bool start_nmi_sources(const machine_description& machine) noexcept {
    set_unraised_nmi(take_unraised);
    start_io_apic(machine.io_apic);
    works = has_io_apic() && start_hpet(machine.hpet, machine.pin_of_timer);
    if (works) route_pin(machine.pin_of_timer, redirect_nmi, every_cpu);
    return works;
}

void set_deadline(const char* name, std::uint64_t ns) noexcept {
    if (!works) return;
    deadline_of = name;
    deadline_s = ns / a_second_ns;
    // The two clocks may disagree a little; what comes before is something else.
    deadline_ns.store(now_ns() + ns - ns / 8, std::memory_order_relaxed);
    start_hpet_once(timer_of_deadline, ns);
    // Once more, should the first one have met another NMI and become one with it on every CPU.
    start_hpet_once(timer_of_last_deadline, ns + a_second_ns);
}

bool start_nmi_timer(std::uint64_t period_ns) noexcept {
    if (!works) return false;
    timer_runs.store(true, std::memory_order_relaxed);
    start_hpet_periodic(timer_of_nmis, period_ns < 10'000 ? 10'000 : period_ns);
    return true;
}

void stop_nmi_timer() noexcept {
    if (!works) return;
    stop_hpet(timer_of_nmis);
    // What was sent arrives within this time.
    delay_ns(1'000'000);
    timer_runs.store(false, std::memory_order_relaxed);
}

unsigned show_all_cpus() noexcept {
    unsigned silent = 0;
    for (unsigned number = 0; number < cpu_count; ++number) {
        cpu_area& cpu = cpu_areas[number];
        if (&cpu == &this_cpu_area() || ask_cpu(cpu, show_cpu, nullptr, a_second_ns)) continue;
        ++silent;
        platform::text_line line;
        line << "CPU " << number << " does not answer NMIs";
        print_line(line.c_str());
    }
    return silent;
}

}  // namespace nmircu::baremetal
