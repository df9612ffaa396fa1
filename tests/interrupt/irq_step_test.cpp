// SPDX-License-Identifier: MIT
//
// Property: whatever instruction of a masked region an interrupt arrives at, those of its two ends
// and of what they call included, it is handled once, in order, by the end of the outermost region,
// and the thread's signal mask is then as before.
//
// The trap flag stops the thread after each instruction, in a handler of SIGTRAP. For every k, the
// region runs once, and something happens at its k-th instruction. A restartable sequence would be
// restarted at each of its instructions for ever, so the program runs without.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "irq_lines.hpp"

#if defined(__x86_64__)

namespace {

using namespace irq_test;
using nmircu::irq_error;
using nmircu::irq_guard;
using nmircu::irq_handler;

// Of the run that is under way.
long step, happens_at;
void (*happens)();
int next_value;
constexpr int own_value = -1;

void on_step(int, siginfo_t*, void*) {
    if (step++ == happens_at) happens();
}

void set_trap_flag(bool on) {
    if (on) {
        asm volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc");
    } else {
        asm volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc");
    }
}

void send() {
    queue_here(SIGRTMIN, next_value++);
}
void send_two() {
    send();
    send();
}
// A region in a handler of the program's own, which interrupts one: at its end nothing may be
// opened that is closed below.
void send_in_a_region() {
    irq_guard guard;
    send_two();
}
void empty_region() {
    irq_guard guard;
}
// A handler of the program's own that leaves the line open for itself.
void send_unblocked() {
    sigset_t line, before;
    sigemptyset(&line);
    sigaddset(&line, SIGRTMIN);
    pthread_sigmask(SIG_UNBLOCK, &line, &before);
    send_two();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

[[gnu::noinline]] void region_alone() {
    irq_guard guard;
    asm volatile("nop" ::: "memory");
}
[[gnu::noinline]] void nested_regions() {
    irq_guard outer;
    region_alone();
}
// Here something is being kept back already.
[[gnu::noinline]] void region_with_one() {
    irq_guard guard;
    queue_here(SIGRTMIN, own_value);
    asm volatile("nop" ::: "memory");
}

struct scene {
    const char* name;
    void (*run)();
    void (*happens)();
    bool blocks_line;  // in the handler of SIGTRAP: what is sent there arrives when it returns

    friend std::ostream& operator<<(std::ostream& out, const scene& one) { return out << one.name; }
};

class irq_step : public testing::TestWithParam<scene> {};

struct own_trap {
    struct sigaction before;
    explicit own_trap(bool blocks_line) {
        struct sigaction action = {};
        action.sa_flags = SA_SIGINFO;
        action.sa_sigaction = on_step;
        if (blocks_line) sigaddset(&action.sa_mask, SIGRTMIN);
        sigaction(SIGTRAP, &action, &before);
    }
    ~own_trap() { sigaction(SIGTRAP, &before, nullptr); }
};

bool line_is_blocked() {
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    return sigismember(&mask, SIGRTMIN) == 1;
}

// A replay is long; its ends are looked at instruction by instruction, its middle less closely.
long after(long instruction, long last) {
    const bool every = last < 300 || instruction < 20 || instruction + 40 > last;
    return instruction + (every ? 1 : last / 12);
}

// What came of the run: in the order in which it was sent, but for what the region itself sent.
void check(value_log& log, bool region_sends) {
    ASSERT_FALSE(line_is_blocked());
    ASSERT_FALSE(nmircu::irqs_disabled());
    if (region_sends) {
        ASSERT_EQ(std::erase(log.values, own_value), 1u);
    }
    ASSERT_EQ(log.values.size(), static_cast<std::size_t>(next_value));
    ASSERT_TRUE(std::is_sorted(log.values.begin(), log.values.end()));
}

TEST_P(irq_step, nothing_is_lost_and_everything_is_opened_again) {
    if (nmircu::detail::under_thread_sanitizer) GTEST_SKIP() << "it delays signals";
    const scene& what = GetParam();
    value_log log;
    irq_handler handler;
    ASSERT_EQ(handler.request(SIGRTMIN, "log", log), irq_error::none);
    const own_trap trap(what.blocks_line);
    happens = what.happens;
    long steps = 1;
    for (happens_at = 0; happens_at < steps; happens_at = after(happens_at, steps)) {
        SCOPED_TRACE("at instruction " + std::to_string(happens_at));
        log.values.clear();
        next_value = 0;
        step = 0;
        set_trap_flag(true);
        what.run();
        set_trap_flag(false);
        steps = step;
        ASSERT_NO_FATAL_FAILURE(check(log, what.run == region_with_one));
    }
    EXPECT_GT(steps, 10);
}

INSTANTIATE_TEST_SUITE_P(
    every, irq_step,
    testing::Values(scene{"send_afterwards", region_alone, send, true},
                    scene{"send_on_top", region_alone, send_two, false},
                    scene{"send_two_afterwards", nested_regions, send_two, true},
                    scene{"nested_on_top", nested_regions, send_two, false},
                    scene{"region_on_top", region_alone, send_in_a_region, false},
                    scene{"region_blocked", region_alone, send_in_a_region, true},
                    scene{"kept_and_afterwards", region_with_one, send, true},
                    scene{"kept_and_on_top", region_with_one, send_two, false},
                    scene{"kept_and_region", region_with_one, send_in_a_region, false},
                    scene{"kept_and_empty_region", region_with_one, empty_region, false},
                    scene{"kept_and_unblocked", region_with_one, send_unblocked, true}),
    [](const auto& parameter) { return parameter.param.name; });

}  // namespace

int main(int argc, char** argv) {
    if (std::getenv("GLIBC_TUNABLES") == nullptr) {
        ::setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1);
        ::execv("/proc/self/exe", argv);
        return 1;
    }
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}

#endif
