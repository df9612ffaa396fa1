// SPDX-License-Identifier: MIT
//
// The dispatch of a non-maskable interrupt. Everything here runs at any instruction of anybody's
// code: no lock, no allocation, no unbounded loop.
//
//   take_nmi -> the program's own do_nmi, if it has set one (entry.cpp)
//      |
//   do_nmi -> a section, depth -> count -> callback --handled--> out again
//                                      |
//                                      +--not handled--> default_do_nmi: chain of the type
//                                             -> previous owner of the signal
//                                             -> chain of unknown -> unknown
#include <nmircu/arch/cpu.hpp>
#include <nmircu/detail/lifecycle.hpp>
#include <nmircu/platform/interrupt.hpp>

#include "interrupt/chain_walk.hpp"
#include "interrupt/entry.hpp"
#include "interrupt/handler_check.hpp"
#include "interrupt/nmi_chains.hpp"
#include "interrupt/rate_limit.hpp"
#include "interrupt/timing.hpp"
#include "platform/text.hpp"

namespace nmircu {

namespace interrupt {

constinit std::atomic<const chain*> chains[nmi_type_count];
handler_row nmi_handler_rows[detail::max_cpus];
chain_row nmi_chain_rows[detail::max_cpus];
nmi_row nmi_rows[detail::max_cpus];
constinit std::atomic<std::uint32_t> timing_interval{16};

namespace {

constinit count_words unknown{}, forwarded{}, swallowed{};
constinit std::atomic<std::uint64_t> longest_allowed_ns{1'000'000};
constinit std::atomic<nmi_unknown_policy> unknown_policy{nmi_unknown_policy::report};
constinit rate_limit unknown_reports, slow_reports;

constinit std::atomic<std::remove_pointer_t<nmi_callback_t>*> nmi_callback{dummy_nmi_callback};
// By type. Null: none.
constinit std::atomic<std::remove_pointer_t<nmi_emergency_t>*> emergency[nmi_type_count];

// What has no name of its own in reports gets one.
template <class Call>
[[gnu::always_inline]] inline void call_named(const char* name, const void* function,
                                              Call&& call) noexcept {
    detail::reader_state& self = platform::this_reader();
    const detail::named_code code{name, function};
    detail::running_handler running{&code, self.handler};
    self.handler = &running;
    handler_check check(self);
    check.calls(code);
    call();
    check.returned();
    self.handler = running.outer;
}

// These two are rare, or long enough to be called.
[[gnu::noinline]] unsigned walk_timed(detail::reader_state& self, const chain& handlers,
                                      pt_regs* regs, int cpu) noexcept {
    const walked result = walk_chain<true>(self, nmi_counts, handlers, regs, cpu, cpu);
    add_per_cpu<detail::slot_shift>(self, nmi_rows[0].timed, cpu, 1);
    add_per_cpu<detail::slot_shift>(self, nmi_rows[0].cycles, cpu, result.cycles);
    note_longest(nmi_rows[cpu].longest_cycles, result.cycles);
    return result.events;
}

// Not one handler alone, but several or none.
[[gnu::noinline]] unsigned walk_others(detail::reader_state& self, const chain& handlers,
                                       pt_regs* regs, int cpu) noexcept {
    if (handlers.count == 0) return 0;
    if (dispatch_is_timed(self)) return walk_timed(self, handlers, regs, cpu);
    return walk_chain<false>(self, nmi_counts, handlers, regs, cpu, cpu).events;
}

[[gnu::noinline]] unsigned ask_emergency(nmi_emergency_t handler, nmi_type type,
                                         pt_regs* regs) noexcept {
    int events = 0;
    call_named("emergency handler", reinterpret_cast<const void*>(handler),
               [&] { events = handler(type, regs); });
    return static_cast<unsigned>(events);
}

[[gnu::always_inline]] inline unsigned ask_chain(detail::reader_state& self, nmi_type type,
                                                 pt_regs* regs, int cpu) noexcept {
    const unsigned index = static_cast<unsigned>(type);
    if (const nmi_emergency_t first = rcu_dereference(emergency[index]); first != nullptr)
        [[unlikely]] {
        return ask_emergency(first, type, regs);
    }
    const chain* const handlers = rcu_dereference(chains[index]);
    if (handlers == nullptr) return 0;
    if (handlers->count != 1) return walk_others(self, *handlers, regs, cpu);
    if (dispatch_is_timed(self)) [[unlikely]]
        return walk_timed(self, *handlers, regs, cpu);
    return call_alone(self, nmi_counts, handlers->entries[0], regs, cpu, cpu);
}

// Two events may have arrived as two interrupts of which the first found both: its handlers claimed
// more than one, and the second, which interrupts the same instruction, finds none.
bool is_second_half(detail::reader_state& self, const pt_regs* regs) noexcept {
    const std::uintptr_t several_at = self.claimed_several_at;
    self.claimed_several_at = 0;
    return several_at != 0 && several_at == instruction_pointer(regs);
}

void report_unknown(const pt_regs* regs, int cpu, nmi_unknown_policy policy) noexcept {
    std::uint64_t suppressed = 0;
    if (policy != nmi_unknown_policy::abort && !unknown_reports.pass(suppressed)) return;
    platform::text_line line;
    line << "nmircu: an NMI that no handler claims, on CPU " << static_cast<std::uint32_t>(cpu)
         << ", thread " << platform::port::current_thread() << ", at "
         << reinterpret_cast<const void*>(instruction_pointer(regs));
    if (suppressed != 0) line << "; " << suppressed << " more since the last report";
    if (policy != nmi_unknown_policy::abort) return platform::port::report(line.c_str());
    line << "; the policy for unknown NMIs is to stop the program";
    platform::port::panic(line.c_str());
}

void take_unknown(const pt_regs* regs, int cpu) noexcept {
    unknown.add_shared(1);
    // Relaxed: a setting.
    const nmi_unknown_policy policy = unknown_policy.load(std::memory_order_relaxed);
    if (policy != nmi_unknown_policy::ignore) report_unknown(regs, cpu, policy);
}

int ask_callback(nmi_callback_t callback, pt_regs* regs, int cpu) noexcept {
    int handled = 0;
    call_named("nmi callback", reinterpret_cast<const void*>(callback),
               [&] { handled = callback(regs, cpu); });
    return handled;
}

// Nobody in the chain of its type has claimed it.
[[gnu::noinline]] void take_unclaimed(detail::reader_state& self, pt_regs* regs) noexcept {
    const int cpu = smp_processor_id();
    if (platform::hand_to_previous_owner(regs)) return forwarded.add_shared(1);
    if (ask_chain(self, nmi_type::unknown, regs, cpu) != 0) return;
    if (is_second_half(self, regs)) return swallowed.add_shared(1);
    take_unknown(regs, cpu);
}

[[gnu::always_inline]] inline void default_action(detail::reader_state& self, pt_regs* regs,
                                                  int cpu) noexcept {
    const unsigned events = ask_chain(self, platform::interrupt_type(regs), regs, cpu);
    if (events == 0) [[unlikely]]
        return take_unclaimed(self, regs);
    self.claimed_several_at = events == 1 ? 0 : instruction_pointer(regs);
}

enum class counting { per_cpu, shared };

[[gnu::noinline]] void ask_callback_first(nmi_callback_t callback, detail::reader_state& self,
                                          pt_regs* regs, int cpu) noexcept {
    if (ask_callback(callback, regs, cpu) == 0) default_action(self, regs, cpu);
}

// The caller is inside a section, so this needs none of its own.
template <counting How>
[[gnu::always_inline]] inline void dispatch(pt_regs* regs) noexcept {
    detail::reader_state& self = platform::this_reader();
    ++self.nmi_depth;
    const int cpu = smp_processor_id();
    if constexpr (How == counting::per_cpu) {
        add_per_cpu<detail::slot_shift>(self, nmi_rows[0].taken, cpu, 1);
    } else {
        nmi_rows[cpu].taken.add_shared(1);
    }
    const nmi_callback_t callback = rcu_dereference(nmi_callback);
    // The dummy declines everything; asking it would cost as much as a handler's count.
    if (callback == dummy_nmi_callback) [[likely]] {
        default_action(self, regs, cpu);
    } else {
        ask_callback_first(callback, self, regs, cpu);
    }
    --self.nmi_depth;
}

[[gnu::noinline]] void call_entry(nmi_entry_t function, pt_regs* regs, long error_code) noexcept {
    call_named("do_nmi", reinterpret_cast<const void*>(function),
               [&] { function(regs, error_code); });
}

}  // namespace

void take_counted(pt_regs* regs, long) noexcept {
    dispatch<counting::shared>(regs);
}

void check_longest(const char* name, std::uint64_t cycles) noexcept {
    // Relaxed: a setting.
    const std::uint64_t allowed = longest_allowed_ns.load(std::memory_order_relaxed);
    const std::uint64_t took = platform::port::cycles_to_ns(cycles);
    std::uint64_t suppressed = 0;
    if (allowed == 0 || took <= allowed || !slow_reports.pass(suppressed)) return;
    platform::text_line line;
    line << "nmircu: handler " << name << " took " << took / 1000 << " us, of at most "
         << allowed / 1000 << " allowed";
    if (suppressed != 0) line << "; " << suppressed << " more reports since the last one";
    platform::port::report(line.c_str());
}

}  // namespace interrupt

void nmi_enter() noexcept {
    detail::enter_section();
    ++platform::this_reader().nmi_depth;
}

void nmi_exit() noexcept {
    if constexpr (detail::checks_misuse) {
        interrupt::require_nmi("nmi_exit", __builtin_return_address(0));
    }
    --platform::this_reader().nmi_depth;
    detail::exit_section();
}

bool in_nmi() noexcept {
    return platform::this_reader().nmi_depth != 0;
}

int smp_processor_id() noexcept {
    return static_cast<int>(platform::port::current_cpu());
}

// The caller is inside a section: see lifecycle.hpp.
void detail::take_nmi(pt_regs* regs, long error_code) noexcept {
    const nmi_entry_t entry = rcu_dereference(interrupt::current_entry);
    if (entry == nullptr) [[likely]] {
        interrupt::dispatch<interrupt::counting::per_cpu>(regs);
    } else {
        interrupt::call_entry(entry, regs, error_code);
    }
}

// Called by somebody who is not our vector: a section of its own, so that nmi_set_entry knows when
// the last plain addition is over.
void do_nmi(pt_regs* regs, long) noexcept {
    detail::enter_section();
    if (rcu_dereference(interrupt::current_entry) == nullptr) {
        interrupt::dispatch<interrupt::counting::per_cpu>(regs);
    } else {
        interrupt::dispatch<interrupt::counting::shared>(regs);
    }
    detail::exit_section();
}

int dummy_nmi_callback(pt_regs*, int) noexcept {
    return 0;
}

void default_do_nmi(pt_regs* regs) noexcept {
    if constexpr (detail::checks_misuse) {
        interrupt::require_nmi("default_do_nmi", __builtin_return_address(0));
    }
    interrupt::default_action(platform::this_reader(), regs, smp_processor_id());
}

void set_nmi_callback(nmi_callback_t callback) noexcept {
    if (callback == nullptr) {
        detail::report_null("set_nmi_callback (unset_nmi_callback removes one)",
                            __builtin_return_address(0));
    }
    rcu_assign_pointer(interrupt::nmi_callback, callback);
}

void unset_nmi_callback() noexcept {
    rcu_assign_pointer(interrupt::nmi_callback, dummy_nmi_callback);
}

std::uint64_t nmi_unknown_count() noexcept {
    return interrupt::unknown.read();
}
std::uint64_t nmi_forwarded_count() noexcept {
    return interrupt::forwarded.read();
}
std::uint64_t nmi_swallowed_count() noexcept {
    return interrupt::swallowed.read();
}

nmi_cpu_statistics nmi_read_cpu(int cpu) noexcept {
    if (cpu < 0 || unsigned(cpu) >= detail::max_cpus) return {};
    const interrupt::nmi_row& row = interrupt::nmi_rows[cpu];
    // Relaxed: a maximum for people.
    const std::uint64_t longest = __atomic_load_n(&row.longest_cycles, __ATOMIC_RELAXED);
    return {row.taken.read(), row.timed.read(), platform::port::cycles_to_ns(row.cycles.read()),
            platform::port::cycles_to_ns(longest)};
}

nmi_error set_emergency_nmi_handler(nmi_type type, nmi_emergency_t handler) noexcept {
    const unsigned index = static_cast<unsigned>(type);
    if (index >= nmi_type_count) return nmi_error::bad_type;
    rcu_assign_pointer(interrupt::emergency[index], handler);
    return nmi_error::none;
}

void nmi_set_unknown_policy(nmi_unknown_policy policy) noexcept {
    interrupt::unknown_policy.store(policy, std::memory_order_relaxed);  // a setting
}

void nmi_set_longest_allowed(std::uint64_t ns) noexcept {
    interrupt::longest_allowed_ns.store(ns, std::memory_order_relaxed);  // a setting
}

void nmi_set_timing_interval(std::uint32_t interval) noexcept {
    interrupt::timing_interval.store(interval, std::memory_order_relaxed);  // a setting
}

}  // namespace nmircu
