// SPDX-License-Identifier: MIT
//
// The kernel's own test of NMIs (arch/x86/kernel/nmi_selftest.c): remote ones to every CPU, then a
// local one on each; each is to be answered within a second, and nobody takes one that was not
// meant for it.
#include "baremetal/scenario.hpp"

namespace nmircu::baremetal {

namespace {

constexpr std::uint64_t a_second_ns = 1'000'000'000;

constinit std::atomic<std::uint64_t> waiting_for{0};
constinit std::atomic<std::uint64_t> strays{0};

// Nmi context.
int answer(void*, pt_regs*, int cpu) {
    const std::uint64_t bit = std::uint64_t{1} << cpu;
    // Relaxed, here and below: who waits only looks at the bits.
    const std::uint64_t before = waiting_for.fetch_and(~bit, std::memory_order_relaxed);
    return (before & bit) != 0 ? 1 : 0;
}
int count_stray(void*, pt_regs*, int) {
    strays.fetch_add(1, std::memory_order_relaxed);
    return 1;
}

std::uint64_t unanswered() noexcept {
    return waiting_for.load(std::memory_order_relaxed);
}
bool is_answered() noexcept {
    return wait_until(a_second_ns, [] { return unanswered() == 0; });
}

unsigned first_of(std::uint64_t cpus) noexcept {
    return static_cast<unsigned>(__builtin_ctzll(cpus));
}

void raise_own(void* failures) {
    const std::uint64_t bit = std::uint64_t{1} << smp_processor_id();
    waiting_for.fetch_or(bit, std::memory_order_relaxed);
    nmi_raise_self();
    if (wait_until(a_second_ns, [bit] { return (unanswered() & bit) == 0; })) return;
    static_cast<std::atomic<std::uint64_t>*>(failures)->fetch_or(bit, std::memory_order_relaxed);
}

verdict run() {
    nmi_handler handler, catcher, external;
    if (handler.add(nmi_type::local, "selftest", answer, nullptr) != nmi_error::none ||
        catcher.add(nmi_type::unknown, "strays", count_stray, nullptr) != nmi_error::none) {
        return failed("the handlers cannot be registered");
    }
    for (unsigned cpu = 1; cpu < cpus(); ++cpu)
        waiting_for.fetch_or(std::uint64_t{1} << cpu, std::memory_order_relaxed);
    for (unsigned cpu = 1; cpu < cpus(); ++cpu)
        nmi_raise(static_cast<int>(cpu));
    if (!is_answered()) {
        return failed("CPU ", first_of(unanswered()), " has not answered a remote NMI in a second");
    }
    std::atomic<std::uint64_t> failures{0};
    run_everywhere(raise_own, &failures);
    if (const std::uint64_t who = failures.load(std::memory_order_relaxed); who != 0) {
        return failed("CPU ", first_of(who), " has not answered its own NMI in a second");
    }
    std::uint64_t taken = 0;
    for (unsigned cpu = 0; cpu < cpus(); ++cpu)
        taken += nmi_count(static_cast<int>(cpu));
    const std::uint64_t expected = 2 * std::uint64_t{cpus()} - 1;
    if (taken != expected || strays.load(std::memory_order_relaxed) != 0) {
        return failed(taken, " NMIs were taken, of ", expected, " sent, and ",
                      strays.load(std::memory_order_relaxed), " were nobody's");
    }
    return passed(taken, " NMIs, none astray");
}

}  // namespace

NMIRCU_SCENARIO = {"selftest", "remote and local NMIs, each answered within a second", 30, run};

}  // namespace nmircu::baremetal
