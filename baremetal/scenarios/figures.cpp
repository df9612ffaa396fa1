// SPDX-License-Identifier: MIT
//
// What things cost, in ticks of the time-stamp counter, which QEMU's -icount makes instructions:
// lines `figure NAME VALUE` for benchmarks/baremetal/figures.py. On CPU 0 with IRQs masked; the
// other CPUs are halted.
//
// An NMI's bracket is `rdtsc; mov; store to the ICR; rdtsc` less what it costs without an NMI. The
// figure of an operation is its median; one that was ever exceeded has a second, its largest.
#include <nmircu/arch/cpu.hpp>

#include "baremetal/scenario.hpp"

namespace nmircu::baremetal {

namespace {

constexpr unsigned samples = 160;
constexpr unsigned further_handlers = 8;

constinit std::uint64_t hits = 0;  // of this CPU

int count_hit(void*, pt_regs*, int) {
    ++hits;
    return 1;
}
int count_hit_in_callback(pt_regs*, int) {
    ++hits;
    return 1;
}
int claim(void*, pt_regs*, int) {
    return 1;
}

void report(const char* name, const char* suffix, std::uint64_t value) noexcept {
    platform::text_line line;
    line << "figure " << name << suffix << " " << value;
    platform::port::report(line.c_str());
}

struct summary {
    std::uint64_t median, most, sum;
};

template <class Sample>
summary measure(Sample&& sample) noexcept {
    std::uint64_t value[samples];
    for (unsigned warm_up = 0; warm_up < 32; ++warm_up)
        static_cast<void>(sample());
    std::uint64_t sum = 0;
    for (unsigned i = 0; i < samples; ++i) {
        const std::uint64_t ticks = sample();
        sum += ticks;
        unsigned at = i;
        for (; at > 0 && value[at - 1] > ticks; --at)
            value[at] = value[at - 1];
        value[at] = ticks;
    }
    return {value[samples / 2], value[samples - 1], sum};
}

summary show(const char* name, const summary& result) noexcept {
    report(name, "", result.median);
    if (result.most != result.median) report(name, ".most", result.most);
    return result;
}

std::uint64_t bracket(volatile std::uint32_t* word, std::uint32_t value) noexcept {
    std::uint32_t before, after;
    asm volatile(
        "rdtsc\n\t"
        "movl %%eax, %0\n\t"
        "movl %3, %2\n\t"
        "rdtsc"
        : "=&r"(before), "=&a"(after), "=m"(*word)
        : "r"(value)
        : "rdx", "memory");
    return after - before;
}

std::uint64_t empty_bracket() noexcept {
    std::uint32_t nowhere;
    return bracket(&nowhere, 0);
}

std::uint64_t one_nmi() noexcept {
    cpu_area& cpu = this_cpu_area();
    cpu.raises_begun.fetch_add(1, std::memory_order_relaxed);  // of this CPU, both
    cpu.raises_sent.fetch_add(1, std::memory_order_relaxed);
    return bracket(icr_low(), icr_nmi | icr_assert) - empty_bracket();
}

template <class Operation>
std::uint64_t ticks_of(Operation&& operation) noexcept {
    const std::uint64_t start = arch::cycle_counter();
    operation();
    const std::uint64_t ticks = arch::cycle_counter() - start;
    const std::uint64_t empty = arch::cycle_counter();
    return ticks - (arch::cycle_counter() - empty);
}

// `with_one`: an NMI with one handler. False: others cannot be registered.
bool measure_further_handlers(std::uint64_t with_one) noexcept {
    nmi_handler handlers[further_handlers];
    const char* const names[further_handlers] = {"2", "3", "4", "5", "6", "7", "8", "9"};
    std::uint64_t with_two = 0;
    for (unsigned i = 0; i < further_handlers; ++i) {
        if (handlers[i].add(nmi_type::local, names[i], claim, nullptr) != nmi_error::none) {
            return false;
        }
        if (i == 0) with_two = measure(one_nmi).median;
    }
    report("nmi.second_handler", "", with_two - with_one);
    constexpr unsigned beyond = further_handlers - 1;
    const std::uint64_t more = measure(one_nmi).median - with_two;
    report("nmi.further_handler", "", (more + beyond - 1) / beyond);  // rounded up
    return true;
}

bool measure_nmis() noexcept {
    nmi_handler handler;
    if (handler.add(nmi_type::local, "1", claim, nullptr) != nmi_error::none) return false;
    const summary empty = show("nmi.empty_handler", measure(one_nmi));
    if (!measure_further_handlers(empty.median)) return false;
    if (handler.swap(count_hit, nullptr) != nmi_error::none) return false;
    const summary counting = show("nmi.one_handler", measure(one_nmi));
    report("nmi.mean", "", (counting.sum + samples - 1) / samples);
    nmi_set_timing_interval(1);
    show("nmi.timed", measure(one_nmi));
    nmi_set_timing_interval(16);
    static_cast<void>(handler.remove());

    set_nmi_callback(count_hit_in_callback);
    show("nmi.callback", measure(one_nmi));
    unset_nmi_callback();
    return true;
}

void measure_updates() noexcept {
    show("grace_period", measure([] { return ticks_of([] { rcu_synchronize(); }); }));
    static nmi_token token;
    const auto add = [] {
        static_cast<void>(register_nmi_handler(nmi_type::local, claim, nullptr, nmi_flags::none,
                                               "measured", &token));
    };
    const auto remove = [] { static_cast<void>(unregister_nmi_handler(token)); };
    show("register", measure([&] {
             const std::uint64_t ticks = ticks_of(add);
             remove();
             return ticks;
         }));
    show("unregister", measure([&] {
             add();
             return ticks_of(remove);
         }));
    show("read_section", measure([] {
             return ticks_of([] {
                 rcu_default_domain().lock();
                 rcu_default_domain().unlock();
             });
         }));
}

verdict run() {
    // What has begun on the other CPUs comes to its end.
    static_cast<void>(wait_until(10'000'000, [] { return false; }));
    const irq_guard masked;
    set_icr_destination(local_apic_id());
    const std::uint64_t before = nmi_count(0);
    report("empty_bracket", "", empty_bracket());
    if (!measure_nmis()) return failed("the handlers cannot be registered");
    measure_updates();
    const std::uint64_t taken = nmi_count(0) - before;
    constexpr std::uint64_t measured = 6, each = samples + 32;
    if (taken != measured * each || hits != 3 * each || nmi_unknown_count() != 0) {
        return failed(taken, " NMIs were taken of ", measured * each, ", ", hits, " counted");
    }
    return passed(taken, " NMIs");
}

}  // namespace

NMIRCU_SCENARIO = {"figures", "what NMIs and grace periods cost, under qemu -icount", 120, run};

}  // namespace nmircu::baremetal
