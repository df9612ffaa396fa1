// SPDX-License-Identifier: MIT
//
// The dispatch of a non-maskable interrupt. Everything here runs at any instruction of anybody's
// code: no lock, no allocation, no unbounded loop.
//
//   do_nmi -> nmi_enter -> count -> callback --handled--> nmi_exit
//                                      |
//                                      +--not handled--> default_do_nmi: chain of the type
//                                             -> previous owner of the signal
//                                             -> chain of unknown -> unknown
#include <nmircu/arch/cpu.hpp>
#include <nmircu/platform/interrupt.hpp>

#include "interrupt/chain.hpp"
#include "interrupt/handler_table.hpp"

namespace nmircu {

namespace interrupt {

handler_row handler_rows[detail::max_cpus];
constinit std::atomic<const chain*> chains[nmi_type_count];

namespace {

struct alignas(detail::slot_bytes) nmi_row {
    count_words taken;
};
nmi_row nmi_rows[detail::max_cpus];

constinit count_words unknown{}, forwarded{};
constinit std::atomic<std::uint32_t> timing_interval{16};

int dummy_nmi_callback(pt_regs*, int) {
    return 0;
}
constinit std::atomic<std::remove_pointer_t<nmi_callback_t>*> nmi_callback{dummy_nmi_callback};

// Whether the handlers of this dispatch are timed: one in timing_interval per thread.
bool dispatch_is_timed(detail::reader_state& self) noexcept {
    if (self.until_timed != 0) [[likely]] {
        --self.until_timed;
        return false;
    }
    // Relaxed: a setting; any of its values will do.
    const std::uint32_t interval = timing_interval.load(std::memory_order_relaxed);
    if (interval == 0) return false;
    self.until_timed = interval - 1;
    return true;
}

// The whole chain, even after a claim: edge-triggered interrupts merge, so one arrival may stand
// for several handlers' events. Returns the number of events claimed.
template <bool Timed>
int walk(detail::reader_state& self, const chain& handlers, pt_regs* regs, int cpu) noexcept {
    detail::running_handler running{nullptr, nullptr, self.handler};
    self.handler = &running;
    int claimed = 0;
    [[maybe_unused]] std::uint64_t start = 0;
    if constexpr (Timed) start = arch::cycle_counter();
    for (unsigned i = 0; i < handlers.count; ++i) {
        const chain_entry& entry = handlers.entries[i];
        running.name = entry.name;
        running.function = reinterpret_cast<const void*>(entry.function);
        const int handled = entry.function(entry.cookie, regs, cpu);
        count_call(self, entry.id, cpu, handled);
        if constexpr (Timed) {
            const std::uint64_t end = arch::cycle_counter();
            // A thread that moved between CPUs with unequal counters could see time run backwards.
            count_duration(self, entry.id, cpu, end > start ? end - start : 0);
            start = end;
        }
        claimed += handled;
    }
    self.handler = running.outer;
    return claimed;
}

int ask_chain(nmi_type type, pt_regs* regs, int cpu) noexcept {
    const chain* const handlers = rcu_dereference(chains[static_cast<unsigned>(type)]);
    if (handlers == nullptr) return 0;
    detail::reader_state& self = platform::this_reader();
    return dispatch_is_timed(self) ? walk<true>(self, *handlers, regs, cpu)
                                   : walk<false>(self, *handlers, regs, cpu);
}

void default_action(pt_regs* regs, int cpu) noexcept {
    if (ask_chain(platform::interrupt_type(regs), regs, cpu) != 0) return;
    if (platform::hand_to_previous_owner(regs)) {
        forwarded.add_shared(1);
        return;
    }
    if (ask_chain(nmi_type::unknown, regs, cpu) != 0) return;
    unknown.add_shared(1);
}

}  // namespace

void count_call(detail::reader_state& self, unsigned id, int cpu, int handled) noexcept {
    handler_counts& counts = handler_rows[0].cell[id].counts;
    add_per_cpu<row_shift>(self, handled != 0 ? counts.handled : counts.passed, cpu, 1);
}

void count_duration(detail::reader_state& self, unsigned id, int cpu,
                    std::uint64_t cycles) noexcept {
    handler_counts& counts = handler_rows[0].cell[id].counts;
    add_per_cpu<row_shift>(self, counts.timed, cpu, 1);
    add_per_cpu<row_shift>(self, counts.cycles, cpu, cycles);
    std::uint64_t* const longest = &handler_rows[cpu].cell[id].longest_cycles;
    // Relaxed: a maximum for people. The loop ends: each failure means a larger value got in.
    std::uint64_t seen = __atomic_load_n(longest, __ATOMIC_RELAXED);
    while (cycles > seen && !__atomic_compare_exchange_n(longest, &seen, cycles, true,
                                                         __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

}  // namespace interrupt

void nmi_enter() noexcept {
    detail::enter_section();
    ++platform::this_reader().nmi_depth;
}

void nmi_exit() noexcept {
    --platform::this_reader().nmi_depth;
    detail::exit_section();
}

bool in_nmi() noexcept {
    return platform::this_reader().nmi_depth != 0;
}

int smp_processor_id() noexcept {
    return static_cast<int>(platform::port::current_cpu());
}

std::uint64_t nmi_count(int cpu) noexcept {
    if (cpu < 0 || unsigned(cpu) >= detail::max_cpus) return 0;
    return interrupt::nmi_rows[cpu].taken.read();
}

void do_nmi(pt_regs* regs, long) noexcept {
    nmi_enter();
    const int cpu = smp_processor_id();
    interrupt::add_per_cpu<detail::slot_shift>(platform::this_reader(),
                                               interrupt::nmi_rows[0].taken, cpu, 1);
    const nmi_callback_t callback = rcu_dereference(interrupt::nmi_callback);
    // The dummy declines everything; asking it would cost as much as a handler's count.
    if (callback == interrupt::dummy_nmi_callback || callback(regs, cpu) == 0) {
        interrupt::default_action(regs, cpu);
    }
    nmi_exit();
}

void default_do_nmi(pt_regs* regs) noexcept {
    interrupt::default_action(regs, smp_processor_id());
}

void set_nmi_callback(nmi_callback_t callback) noexcept {
    if (callback == nullptr) {
        detail::report_null("set_nmi_callback (unset_nmi_callback removes one)",
                            __builtin_return_address(0));
    }
    rcu_assign_pointer(interrupt::nmi_callback, callback);
}

void unset_nmi_callback() noexcept {
    rcu_assign_pointer(interrupt::nmi_callback, interrupt::dummy_nmi_callback);
}

std::uint64_t nmi_unknown_count() noexcept {
    return interrupt::unknown.read();
}
std::uint64_t nmi_forwarded_count() noexcept {
    return interrupt::forwarded.read();
}

void nmi_set_timing_interval(std::uint32_t interval) noexcept {
    interrupt::timing_interval.store(interval, std::memory_order_relaxed);  // a setting
}

}  // namespace nmircu
