// SPDX-License-Identifier: MIT
//
// A CPU that never answers: it sits inside an NMI handler for ever. The backtrace of all CPUs names
// it and goes on; so does the list of whom NMIs do not reach; and a grace period that has to wait
// for it says for whom.
#include "baremetal/scenario.hpp"

#include <nmircu/arch/cpu.hpp>
#include <nmircu/rcu_stall.hpp>

namespace nmircu::baremetal {

namespace {

constinit std::atomic<bool> inside{false}, let_go{false};
constinit std::atomic<std::int32_t> stalled_cpu{-1};

int never_return(void*, pt_regs*, int) {
    inside.store(true, std::memory_order_relaxed);  // looked at, no more
    while (!let_go.load(std::memory_order_relaxed))
        arch::spin_hint();
    return 1;
}

void note_stall(const rcu_stall_report& report, void*) {
    if (report.over || report.readers == 0) return;
    stalled_cpu.store(report.reader[0].cpu, std::memory_order_relaxed);
    let_go.store(true, std::memory_order_relaxed);
}

verdict run() {
    const auto silent = static_cast<std::int32_t>(cpus()) - 1;
    if (silent < 1) return failed("needs two CPUs; say -smp 2");
    nmi_handler handler;
    if (handler.add(nmi_type::local, "never_return", never_return, nullptr) != nmi_error::none) {
        return failed("the handler cannot be registered");
    }
    nmi_raise(silent);
    if (!wait_until(5'000'000'000, [] { return inside.load(std::memory_order_relaxed); })) {
        return failed("CPU ", static_cast<unsigned>(silent), " has not taken its NMI");
    }
    if (const unsigned count = show_all_cpus(); count != 1) {
        return failed(count, " CPUs have not answered, instead of 1");
    }
    nmi_unreachable_thread who[2];
    if (nmi_unreachable_threads(who, 2) != 1 || who[0].tid != silent ||
        who[0].reason != nmi_unreachable_reason::no_answer) {
        return failed("the list of whom NMIs do not reach is not that CPU");
    }
    rcu_set_stall_handler(note_stall, nullptr);
    rcu_set_stall_limit(100);
    rcu_synchronize();
    if (stalled_cpu.load(std::memory_order_relaxed) != silent) {
        return failed("the stalled grace period was not said to wait for that CPU");
    }
    if (!wait_until(5'000'000'000, [] { return nmi_unreachable_threads(nullptr, 0) == 0; })) {
        return failed("the CPU does not answer, although it is out of its handler");
    }
    return passed("CPU ", static_cast<unsigned>(silent), " was named, and answers again");
}

}  // namespace

NMIRCU_SCENARIO = {"silent_cpu", "a CPU that never answers is named", 60, run};

}  // namespace nmircu::baremetal
