// SPDX-License-Identifier: MIT
//
// IRQs with the same dynamic handlers as NMIs, irq.hpp on the machine itself: all users of a shared
// vector are asked, also after a claim; a disabled line remembers one arrival; an NMI comes inside
// an IRQ; handlers that were freed during a storm of IRQs from all other CPUs are neither running
// nor called again; and what arrives at a line without users is counted, and harmless.
#include <nmircu/arch/cpu.hpp>

#include "baremetal/scenario.hpp"
#include "baremetal/scenarios/tally.hpp"

namespace nmircu::baremetal {

namespace {

constexpr int shared_line = 50, storm_line = 51;
constexpr unsigned storm_cycles = 300;

struct user {
    tally calls;
    int claims;
};

int count_call(void* cookie, pt_regs*, int) {
    auto& self = *static_cast<user*>(cookie);
    self.calls.add();
    return self.claims;
}

bool await(const tally& number, std::uint64_t value) noexcept {
    return wait_until(second_ns, [&] { return number.get() == value; });
}

// On CPU 0, from itself.
const char* share_a_line() noexcept {
    static constinit user users[3] = {{{}, irq_handled}, {{}, irq_none}, {{}, irq_handled}};
    const char* const names[3] = {"one", "two", "three"};
    irq_handler handlers[3];
    for (unsigned i = 0; i < 3; ++i) {
        if (handlers[i].request(shared_line, names[i], count_call, &users[i],
                                irq_handler_flags::shared) != irq_error::none) {
            return "a handler cannot be registered";
        }
    }
    for (unsigned i = 1; i <= 100; ++i) {
        raise_irq(0, shared_line);
        if (!await(users[2].calls, i)) return "an IRQ was lost";
    }
    if (users[0].calls.get() != 100 || users[1].calls.get() != 100) return "not all were asked";

    static_cast<void>(disable_irq(shared_line));
    for (unsigned i = 0; i < 3; ++i) {
        raise_irq(0, shared_line);
        delay_ns(1'000'000);
    }
    if (users[0].calls.get() != 100) return "a disabled line's handler was called";
    static_cast<void>(enable_irq(shared_line));
    if (!await(users[0].calls, 101)) return "a disabled line forgot that there was an IRQ";
    delay_ns(1'000'000);
    return users[0].calls.get() == 101 ? nullptr : "a disabled line remembered more than one IRQ";
}

constinit tally nmis_inside;
int take_nmi(void*, pt_regs*, int) {
    nmis_inside.add(in_irq() ? 1 : 1'000'000);
    return 1;
}
int raise_nmi_inside(void* calls, pt_regs*, int) {
    const std::uint64_t before = nmis_inside.get();
    nmi_raise_self();
    while (nmis_inside.get() == before)  // it comes, whatever is masked
        arch::spin_hint();
    static_cast<tally*>(calls)->add();
    return irq_handled;
}

const char* be_interrupted_inside() noexcept {
    static constinit tally calls;
    nmi_handler nmi;
    irq_handler irq;
    if (nmi.add(nmi_type::local, "inside", take_nmi, nullptr) != nmi_error::none ||
        irq.request(shared_line, "outside", raise_nmi_inside, &calls) != irq_error::none) {
        return "a handler cannot be registered";
    }
    for (unsigned i = 1; i <= 100; ++i) {
        raise_irq(0, shared_line);
        if (!await(calls, i)) return "an IRQ with an NMI inside was lost";
    }
    return nmis_inside.get() == 100 ? nullptr : "an NMI inside an IRQ was lost, or was outside";
}

// What a handler of the storm uses; `alive` is taken back when the handler has been freed.
struct generation {
    std::atomic<bool> alive{false};
    tally calls;
};
constinit tally stop, raising, called_dead;

int check_alive(void* cookie, pt_regs*, int) {
    auto& self = *static_cast<generation*>(cookie);
    self.calls.add();
    for (unsigned i = 0; i < 100; ++i) {
        // Relaxed: whether it may still be looked at.
        if (!self.alive.load(std::memory_order_relaxed)) called_dead.add();
        arch::spin_hint();
    }
    return irq_handled;
}

// To everybody, until told to stop.
void raise_irqs(void*) {
    raising.add();
    while (stop.get() == 0) {
        for (unsigned cpu = 0; cpu < cpus(); ++cpu)
            raise_irq(cpu, storm_line);
    }
}

const char* come_and_go_in_a_storm() noexcept {
    if (cpus() < 2) return nullptr;
    static constinit generation generations[2];
    irq_handler keeper;  // the line has had a user before the first IRQ comes
    if (keeper.request(storm_line, "first", check_alive, &generations[0]) != irq_error::none) {
        return "a handler cannot be registered";
    }
    static_cast<void>(keeper.release());
    for (unsigned cpu = 1; cpu < cpus(); ++cpu)
        start_on(cpu, raise_irqs, nullptr);
    if (!await(raising, cpus() - 1)) return "the storm has not begun";
    std::uint64_t calls = 0;
    for (unsigned cycle = 0; cycle < storm_cycles && called_dead.get() == 0; ++cycle) {
        generation& one = generations[cycle % 2];
        one.calls.set(0);
        one.alive.store(true, std::memory_order_relaxed);  // nobody knows it yet
        irq_handler handler;
        if (handler.request(storm_line, "storm", check_alive, &one) != irq_error::none) {
            return "a handler cannot be registered in the storm";
        }
        static_cast<void>(wait_until(second_ns, [&one] { return one.calls.get() >= 2 * cpus(); }));
        if (handler.release() != irq_error::none) return "a handler cannot be freed in the storm";
        one.alive.store(false, std::memory_order_relaxed);  // nobody may look any more
        calls += one.calls.get();
    }
    stop.set(1);
    for (unsigned cpu = 1; cpu < cpus(); ++cpu) {
        if (!wait_for_cpu(cpu, 5 * second_ns)) return "a CPU does not come out of the storm";
    }
    if (called_dead.get() != 0) return "a handler that had been freed was running";
    if (calls < storm_cycles) return "no IRQ reached a handler";
    const irq_line_statistics line = irq_read_line(storm_line);
    if (line.taken + line.dropped < calls) return "the line has counted less than its handlers";
    return nullptr;
}

verdict run() {
    nmi_set_longest_allowed(0);  // an emulated CPU may be held up anywhere
    if (const char* const what = share_a_line(); what != nullptr) return failed(what);
    if (const char* const what = be_interrupted_inside(); what != nullptr) return failed(what);
    if (const char* const what = come_and_go_in_a_storm(); what != nullptr) return failed(what);
    return passed("shared, disabled, interrupted, freed in a storm of ",
                  irq_read_line(storm_line).taken, " IRQs");
}

}  // namespace

NMIRCU_SCENARIO = {"irq_chain", "IRQs: shared, disabled, interrupted by NMIs, freed in a storm", 90,
                   run};

}  // namespace nmircu::baremetal
