// SPDX-License-Identifier: MIT
//
// What a scenario is, and what it needs to do its work: a test of the machine that the command line
// chooses (`scenario=NAME`), and that ends with one line, PASS or FAIL.
//
// To add one: a file baremetal/scenarios/NAME.cpp, which CMake finds by itself, holding
//
//     verdict run() { ... return passed(); }
//     NMIRCU_SCENARIO = {"NAME", "one line on what it shows", 10 /* seconds */, run};
//
// run() is called on CPU 0 in thread context, with IRQs open, all CPUs started and NMIs attached;
// the others wait for work. After its deadline the machine is stopped with a FAIL line, whatever
// any CPU is doing. Everything in include/nmircu works; so do platform::port::now_ns and report.
// A thread that loops for something to happen calls wait_until (or port::wait), which lets the
// CPU's other threads run, such as the reclaimer's; a CPU that spins by itself does not.
//
// Contexts: thread, where nothing else is said.
#pragma once

#include <cstdint>

#include <nmircu/irq.hpp>
#include <nmircu/nmi.hpp>
#include <nmircu/platform/port.hpp>

#include "baremetal/command_line.hpp"
#include "baremetal/cpus.hpp"
#include "baremetal/nmi_sources.hpp"
#include "baremetal/verdict.hpp"
#include "platform/baremetal/clock.hpp"
#include "platform/baremetal/cpu_area.hpp"
#include "platform/baremetal/instructions.hpp"
#include "platform/baremetal/local_apic.hpp"
#include "platform/baremetal/nmi_vector.hpp"
#include "platform/baremetal/pt_regs.hpp"
#include "platform/text.hpp"

namespace nmircu::baremetal {

struct verdict {
    bool pass;
    char text[256];
};

// Both put a line together from texts and numbers: failed("CPU ", cpu, " has not answered").
template <class... Parts>
[[nodiscard]] verdict failed(const Parts&... parts) noexcept {
    platform::text_line<sizeof(verdict::text)> line;
    static_cast<void>((line << ... << parts));
    verdict out{};
    __builtin_memcpy(out.text, line.c_str(), sizeof out.text);
    return out;
}
template <class... Parts>
[[nodiscard]] verdict passed(const Parts&... parts) noexcept {
    verdict out = failed(parts...);
    out.pass = true;
    return out;
}

struct scenario {
    const char* name;
    const char* description;
    unsigned deadline_s;
    verdict (*run)();
};

// In a section of its own, which main.cpp reads as one array.
#define NMIRCU_SCENARIO NMIRCU_SCENARIO_IN(__LINE__)
#define NMIRCU_SCENARIO_IN(line) NMIRCU_SCENARIO_CALLED(line)
#define NMIRCU_SCENARIO_CALLED(line) \
    [[gnu::section(".scenarios"),    \
      gnu::used]] constinit const ::nmircu::baremetal::scenario scenario_in_line_##line

// How many CPUs there are: 0 to cpus() - 1. Any context.
[[nodiscard]] inline unsigned cpus() noexcept {
    return cpu_count;
}

// Starts function(argument) on another CPU, or waits until it can; wait_for_cpu waits for its end.
inline void start_on(unsigned cpu, void (*function)(void*), void* argument) noexcept {
    give_work(cpu, function, argument);
}
inline bool wait_for_cpu(unsigned cpu, std::uint64_t most_ns = platform::forever_ns) noexcept {
    return wait_for_work(cpu, most_ns);
}

// function(argument) on each CPU at once, this one included; returns when all have returned.
inline void run_everywhere(void (*function)(void*), void* argument) noexcept {
    for (unsigned cpu = 1; cpu < cpus(); ++cpu)
        start_on(cpu, function, argument);
    function(argument);
    for (unsigned cpu = 1; cpu < cpus(); ++cpu)
        static_cast<void>(wait_for_cpu(cpu));
}

// Whether condition() became true within that time. Other threads of this CPU run meanwhile.
template <class Condition>
[[nodiscard]] bool wait_until(std::uint64_t most_ns, Condition&& condition) noexcept {
    std::atomic<std::uint32_t> never{0};
    const std::uint64_t start = now_ns();
    while (!condition()) {
        if (now_ns() - start >= most_ns) return condition();
        platform::port::wait(never, 0, 20'000);
    }
    return true;
}

// An NMI to one CPU, also to one's own: nmi_raise(cpu) and nmi_raise_self(), nmi.hpp. Any context.
// An IRQ on a vector (32 to 127, see request_irq) to one CPU. Any context.
inline void raise_irq(unsigned cpu, int vector) noexcept {
    send_ipi(cpu_areas[cpu].apic_id, icr_fixed | icr_assert | static_cast<std::uint32_t>(vector));
}

}  // namespace nmircu::baremetal
