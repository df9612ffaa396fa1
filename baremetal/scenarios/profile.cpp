// SPDX-License-Identifier: MIT
//
// The NMI timer as a profiler: a CPU sits in one function with IRQs masked for ever; samples of the
// interrupted instruction on every CPU name that function.
#include "baremetal/scenario.hpp"

#include <nmircu/arch/cpu.hpp>
#include "platform/baremetal/console.hpp"

namespace nmircu::baremetal {

namespace {

constexpr unsigned wanted_samples = 200, most_samples = 1024;

constinit std::atomic<bool> stop{false};
constinit std::uintptr_t samples[platform::max_cpus][most_samples]{};
constinit std::atomic<unsigned> taken[platform::max_cpus]{};

// Nmi context. Relaxed, here and below: each CPU has a row of its own.
int sample(void*, pt_regs* regs, int cpu) {
    const unsigned place = taken[cpu].fetch_add(1, std::memory_order_relaxed);
    if (place < most_samples) samples[cpu][place] = instruction_pointer(regs);
    return 1;
}

[[gnu::noinline]] void spin_in_here() {
    while (!stop.load(std::memory_order_relaxed))
        arch::spin_hint();
}

void be_busy_with_irqs_masked(void*) {
    const irq_guard masked;
    spin_in_here();
}

// The function that most of the samples are in; how many are.
unsigned most_frequent(int cpu, unsigned count, char* name, unsigned bytes) noexcept {
    unsigned best = 0;
    for (unsigned i = 0; i < count; ++i) {
        char mine[96], other[96];
        const auto without_offset = [](char* text) {
            char* last = text;
            for (char* at = text; *at != '\0'; ++at)
                last = *at == '+' ? at : last;
            *last = '\0';
        };
        platform::port::name_code(reinterpret_cast<const void*>(samples[cpu][i]), mine,
                                  sizeof mine);
        without_offset(mine);
        unsigned same = 0;
        for (unsigned j = 0; j < count; ++j) {
            platform::port::name_code(reinterpret_cast<const void*>(samples[cpu][j]), other,
                                      sizeof other);
            without_offset(other);
            if (__builtin_strcmp(mine, other) == 0) ++same;
        }
        if (same > best) {
            best = same;
            platform::text_line line;
            line << mine;
            __builtin_memcpy(name, line.c_str(), bytes);
        }
        if (best * 2 > count) break;
    }
    return best;
}

verdict run() {
    const unsigned busy = cpus() - 1;
    if (busy == 0) return failed("needs two CPUs; say -smp 2");
    nmi_handler handler;
    if (handler.add(nmi_type::local, "profile", sample, nullptr) != nmi_error::none) {
        return failed("the handler cannot be registered");
    }
    start_on(busy, be_busy_with_irqs_masked, nullptr);
    if (!start_nmi_timer(1'000'000)) return failed("the machine has no timer for NMIs");
    const auto count = [busy] { return taken[busy].load(std::memory_order_relaxed); };
    const bool enough = wait_until(20'000'000'000, [&count] { return count() >= wanted_samples; });
    stop_nmi_timer();
    stop.store(true, std::memory_order_relaxed);
    static_cast<void>(wait_for_cpu(busy));
    if (!enough) return failed("CPU ", busy, " was sampled ", count(), " times only");
    for (unsigned cpu = 0; cpu < cpus(); ++cpu) {
        if (taken[cpu].load(std::memory_order_relaxed) == 0) {
            return failed("CPU ", cpu, " was never sampled");
        }
    }
    char name[96];
    const unsigned seen = count() < most_samples ? count() : most_samples;
    const unsigned inside = most_frequent(static_cast<int>(busy), seen, name, sizeof name);
    if (__builtin_strcmp(name, "nmircu::baremetal::spin_in_here()") != 0 ||
        inside * 10 < seen * 9) {
        return failed(inside, " of ", seen, " samples of the busy CPU are in ", name);
    }
    return passed(inside, " of ", seen, " samples of the busy CPU are in ", name);
}

}  // namespace

NMIRCU_SCENARIO = {"profile", "the NMI timer names the function a busy CPU sits in", 60, run};

}  // namespace nmircu::baremetal
