// SPDX-License-Identifier: MIT
//
// Property: what arrives while a thread has IRQs masked waits, all of it and in POSIX's order, and
// has been handled when the outermost region ends; NMIs do not wait. Afterwards the thread's signal
// mask is what the program has made it.
#include <algorithm>
#include <csetjmp>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/in_child.hpp"
#include "irq_lines.hpp"

namespace {

using namespace irq_test;
using nmircu::irq_error;
using nmircu::irq_flags;
using nmircu::irq_handler;
using nmircu::local_irq_restore;
using nmircu::local_irq_save;

bool blocks(int signal) {
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    return sigismember(&mask, signal) == 1;
}

struct irq_region : testing::Test {
    void TearDown() override {
        EXPECT_FALSE(nmircu::irqs_disabled());
        EXPECT_FALSE(blocks(SIGRTMIN));
        EXPECT_FALSE(blocks(SIGUSR1));
        EXPECT_FALSE(blocks(SIGUSR2));
    }
};

// ThreadSanitizer keeps one signal of a kind, decides itself when it is delivered, and puts back
// the mask that the interrupted context had.
struct irq_mask : irq_region {
    void SetUp() override {
        if (nmircu::detail::under_thread_sanitizer) GTEST_SKIP() << "it delays signals";
    }
};

std::vector<int> numbers(int count) {
    std::vector<int> all;
    for (int i = 0; i < count; ++i)
        all.push_back(i);
    return all;
}

TEST_F(irq_mask, queued_signals_come_in_order_with_their_information) {
    value_log log;
    irq_handler handler;
    ASSERT_EQ(handler.request(SIGRTMIN, "log", log), irq_error::none);
    const irq_flags flags = local_irq_save();
    for (int i = 0; i < 100; ++i)
        queue_here(SIGRTMIN, i);
    EXPECT_TRUE(log.values.empty());
    local_irq_restore(flags);
    EXPECT_EQ(log.values, numbers(100));
    queue_here(SIGRTMIN, 7);
    EXPECT_EQ(log.values.back(), 7);
}

// What the handler of SIGUSR1 is called with at the end of a region in which `send` has run.
std::vector<int> codes_after(void (*send)()) {
    static std::vector<int> codes;
    codes.clear();
    codes.reserve(64);
    auto note = [](pt_regs& regs, int) {
        codes.push_back(info_of(&regs).si_code);
        return nmircu::irq_handled;
    };
    irq_handler handler;
    EXPECT_EQ(handler.request(SIGUSR1, "note", note), irq_error::none);
    const irq_flags flags = local_irq_save();
    send();
    take_pending_signals();
    EXPECT_TRUE(codes.empty());
    local_irq_restore(flags);
    const std::vector<int> in_region = codes;
    raise_line(SIGUSR1);
    EXPECT_EQ(codes.size(), in_region.size() + 1);
    EXPECT_EQ(nmircu::irq_read_line(SIGUSR1).dropped, 0u);
    return in_region;
}
void to_thread() {
    raise_line(SIGUSR1);
}
void to_process() {
    ::kill(::getpid(), SIGUSR1);
}

// POSIX keeps one for the thread and one for the process, blocked by us or by the kernel.
TEST_F(irq_mask, standard_signals_merge) {
    using testing::ElementsAre;
    using testing::UnorderedElementsAre;
    EXPECT_THAT(codes_after([] {}), ElementsAre());
    EXPECT_THAT(codes_after(to_thread), ElementsAre(SI_TKILL));
    EXPECT_THAT(codes_after(to_process), ElementsAre(SI_USER));
    EXPECT_THAT(codes_after([] {
                    for (int i = 0; i < 10; ++i)
                        to_thread();
                }),
                ElementsAre(SI_TKILL));
    EXPECT_THAT(codes_after([] {
                    for (int i = 0; i < 10; ++i)
                        to_process();
                }),
                ElementsAre(SI_USER));
    // Of each kind one, whichever came first and however many there are of the other.
    EXPECT_THAT(codes_after([] {
                    to_thread();
                    for (int i = 0; i < 3; ++i)
                        to_process();
                }),
                UnorderedElementsAre(SI_TKILL, SI_USER));
    EXPECT_THAT(codes_after([] {
                    to_process();
                    for (int i = 0; i < 3; ++i)
                        to_thread();
                }),
                UnorderedElementsAre(SI_TKILL, SI_USER));
    for (void (*const first)() : {to_thread, to_process}) {
        static void (*once)();
        once = first;
        EXPECT_THAT(codes_after([] {
                        once();
                        for (int i = 0; i < 3; ++i) {
                            to_thread();
                            to_process();
                        }
                    }),
                    UnorderedElementsAre(SI_TKILL, SI_USER));
    }
}

// The same on a thread that is not the first of its process, for which the kernel has other rules.
TEST_F(irq_mask, standard_signals_merge_on_any_thread) {
    sigset_t usr1;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &usr1, nullptr);  // what is for the process goes to the other thread
    std::thread([&] {
        pthread_sigmask(SIG_UNBLOCK, &usr1, nullptr);
        EXPECT_THAT(codes_after([] {
                        to_thread();
                        to_process();
                        to_thread();
                        to_process();
                    }),
                    testing::UnorderedElementsAre(SI_TKILL, SI_USER));
        EXPECT_THAT(codes_after([] {
                        to_process();
                        to_thread();
                        to_process();
                        to_thread();
                    }),
                    testing::UnorderedElementsAre(SI_TKILL, SI_USER));
    }).join();
    pthread_sigmask(SIG_UNBLOCK, &usr1, nullptr);
}

TEST_F(irq_mask, the_first_of_those_that_merge_keeps_its_information) {
    value_log log;
    irq_handler handler;
    ASSERT_EQ(handler.request(SIGUSR1, "log", log), irq_error::none);
    const irq_flags flags = local_irq_save();
    for (int i = 5; i < 10; ++i)
        queue_here(SIGUSR1, i);
    local_irq_restore(flags);
    EXPECT_THAT(log.values, testing::ElementsAre(5));
}

// Each handler of the program's own on top of a region opens the line once more.
void raise_usr1(int) {
    raise_line(SIGUSR1);
    raise_line(SIGUSR1);
}

TEST_F(irq_mask, standard_signals_merge_on_every_level) {
    std::atomic<long> hits{0};
    ASSERT_EQ(nmircu::request_irq(SIGUSR1, count, {}, "count", &hits), irq_error::none);
    struct sigaction action = {}, before;
    action.sa_handler = raise_usr1;
    sigaction(SIGWINCH, &action, &before);
    const irq_flags flags = local_irq_save();
    for (int i = 0; i < 8; ++i)
        raise(SIGWINCH);
    local_irq_restore(flags);
    EXPECT_EQ(hits, 1);
    EXPECT_EQ(nmircu::irq_read_line(SIGUSR1).dropped, 0u);
    sigaction(SIGWINCH, &before, nullptr);
    EXPECT_EQ(nmircu::free_irq(SIGUSR1, &hits), irq_error::none);
}

// Merging never swallows the last one: a handler that begins after a signal was sent has seen what
// was written before it.
TEST_F(irq_mask, what_merges_is_seen_all_the_same) {
    static constexpr int total = 20000;
    static std::atomic<int> written{0}, seen{0};
    written = seen = 0;
    auto look = [](pt_regs&, int) { return seen.store(written.load()), nmircu::irq_handled; };
    irq_handler handler;
    ASSERT_EQ(handler.request(SIGUSR1, "look", look), irq_error::none);
    const int target = thread_id();
    std::atomic<bool> done{false};
    std::thread sender([&] {
        sigset_t usr1;
        sigemptyset(&usr1);
        sigaddset(&usr1, SIGUSR1);
        pthread_sigmask(SIG_BLOCK, &usr1, nullptr);
        for (int i = 1; i <= total; ++i) {
            written.store(i);
            if (i % 2 == 0) {
                ::kill(::getpid(), SIGUSR1);
            } else {
                ::syscall(SYS_tgkill, ::getpid(), target, SIGUSR1);
            }
        }
        done.store(true);
    });
    while (!done.load()) {
        nmircu::irq_guard guard;
        take_pending_signals();
    }
    sender.join();
    EXPECT_EQ(seen, total);
    EXPECT_EQ(nmircu::irq_read_line(SIGUSR1).dropped, 0u);
}

TEST_F(irq_region, an_nmi_does_not_wait) {
    static std::vector<char> order;
    order.clear();
    order.reserve(16);
    auto irq = [](pt_regs&, int) { return order.push_back('i'), nmircu::irq_handled; };
    auto nmi = [](pt_regs&, int) {
        EXPECT_TRUE(nmircu::in_nmi());
        EXPECT_TRUE(nmircu::irqs_disabled());
        order.push_back('n');
        return 1;
    };
    ASSERT_EQ(nmircu::nmi_attach(), 0);
    nmircu::nmi_handler on_nmi;
    irq_handler on_irq;
    ASSERT_EQ(on_nmi.add(nmircu::nmi_type::local, "nmi", nmi), nmircu::nmi_error::none);
    ASSERT_EQ(on_irq.request(SIGUSR1, "irq", irq), irq_error::none);
    const irq_flags flags = local_irq_save();
    raise_line(SIGUSR1);
    static_cast<void>(raise_here());
    raise_line(SIGUSR1);
    static_cast<void>(raise_here());
    EXPECT_THAT(order, testing::ElementsAre('n', 'n'));
    local_irq_restore(flags);
    EXPECT_THAT(order, testing::ElementsAre('n', 'n', 'i'));
}

TEST_F(irq_mask, an_nmi_interrupts_an_irq_handler_and_an_irq_does_not) {
    static std::vector<char> order;
    order.clear();
    order.reserve(16);
    auto irq = [](pt_regs&, int line) {
        order.push_back(line == SIGUSR1 ? '1' : '2');
        EXPECT_TRUE(nmircu::in_irq());
        EXPECT_TRUE(nmircu::irqs_disabled());
        if (line == SIGUSR1) {
            raise_line(SIGUSR2);
            static_cast<void>(raise_here());
            order.push_back('e');
        }
        return nmircu::irq_handled;
    };
    auto nmi = [](pt_regs&, int) {
        EXPECT_TRUE(nmircu::in_irq());
        return order.push_back('n'), 1;
    };
    ASSERT_EQ(nmircu::nmi_attach(), 0);
    nmircu::nmi_handler on_nmi;
    irq_handler first, second;
    ASSERT_EQ(on_nmi.add(nmircu::nmi_type::local, "nmi", nmi), nmircu::nmi_error::none);
    ASSERT_EQ(first.request(SIGUSR1, "first", irq), irq_error::none);
    ASSERT_EQ(second.request(SIGUSR2, "second", irq), irq_error::none);
    raise_line(SIGUSR1);
    EXPECT_THAT(order, testing::ElementsAre('1', 'n', 'e', '2'));
    order.clear();
    // The same when the first has waited.
    const irq_flags flags = local_irq_save();
    raise_line(SIGUSR1);
    local_irq_restore(flags);
    EXPECT_THAT(order, testing::ElementsAre('1', 'n', 'e', '2'));
    EXPECT_FALSE(nmircu::in_irq());
}

TEST_F(irq_region, regions_nest) {
    std::atomic<long> hits{0};
    ASSERT_EQ(nmircu::request_irq(SIGUSR1, count, {}, "count", &hits), irq_error::none);
    {
        nmircu::irq_guard outer;
        {
            nmircu::irq_guard inner;
            raise_line(SIGUSR1);
        }
        EXPECT_TRUE(nmircu::irqs_disabled());
        EXPECT_EQ(hits, 0);
    }
    EXPECT_EQ(hits, 1);
    EXPECT_EQ(nmircu::free_irq(SIGUSR1, &hits), irq_error::none);
}

TEST_F(irq_mask, a_region_inside_a_handler_opens_nothing) {
    static std::vector<int> order;
    order.clear();
    order.reserve(64);
    static int depth;
    depth = 0;
    auto handler = [](pt_regs& regs, int) {
        EXPECT_EQ(depth++, 0);
        { nmircu::irq_guard guard; }
        order.push_back(info_of(&regs).si_value.sival_int);
        --depth;
        return nmircu::irq_handled;
    };
    irq_handler on_irq;
    ASSERT_EQ(on_irq.request(SIGRTMIN, "handler", handler), irq_error::none);
    const irq_flags flags = local_irq_save();
    for (int i = 0; i < 10; ++i)
        queue_here(SIGRTMIN, i);
    local_irq_restore(flags);
    EXPECT_EQ(order, numbers(10));
}

TEST_F(irq_region, registers_are_those_of_the_arrival) {
    static std::uintptr_t at, stack;
    auto handler = [](pt_regs& regs, int) {
        at = nmircu::instruction_pointer(&regs);
        stack = nmircu::user_stack_pointer(&regs);
        return nmircu::irq_handled;
    };
    irq_handler on_irq;
    ASSERT_EQ(on_irq.request(SIGUSR1, "handler", handler), irq_error::none);
    raise_line(SIGUSR1);
    const std::uintptr_t direct = at;
    const irq_flags flags = local_irq_save();
    raise_line(SIGUSR1);
    at = 0;
    stack = 0;
    local_irq_restore(flags);
    EXPECT_EQ(at, direct);  // the same system call instruction
    EXPECT_NE(stack, 0u);
}

TEST_F(irq_region, errno_is_kept) {
    auto handler = [](pt_regs&, int) { return errno = 1, nmircu::irq_handled; };
    irq_handler on_irq;
    ASSERT_EQ(on_irq.request(SIGUSR1, "handler", handler), irq_error::none);
    const irq_flags flags = local_irq_save();
    raise_line(SIGUSR1);
    errno = 77;
    local_irq_restore(flags);
    EXPECT_EQ(errno, 77);
}

// The program's own handler is interrupted while it is on top of a masked region: what is kept back
// there is not blocked any more when it returns.
void raise_three(int) {
    static int next = 0;
    for (int i = 0; i < 3; ++i)
        queue_here(SIGRTMIN, next++);
}

TEST_F(irq_mask, order_survives_a_handler_of_the_programs_own) {
    value_log log;
    irq_handler handler;
    ASSERT_EQ(handler.request(SIGRTMIN, "log", log), irq_error::none);
    struct sigaction action = {}, before;
    action.sa_handler = raise_three;
    sigaction(SIGWINCH, &action, &before);
    const irq_flags flags = local_irq_save();
    raise(SIGWINCH);
    raise(SIGWINCH);
    raise(SIGWINCH);
    EXPECT_TRUE(log.values.empty());
    local_irq_restore(flags);
    EXPECT_EQ(log.values, numbers(9));
    sigaction(SIGWINCH, &before, nullptr);
}

void region_of_its_own(int) {
    nmircu::irq_guard guard;
    queue_here(SIGRTMIN, 0);
    queue_here(SIGRTMIN, 1);
}

TEST_F(irq_mask, a_region_inside_a_handler_of_the_programs_own) {
    value_log log;
    irq_handler handler;
    ASSERT_EQ(handler.request(SIGRTMIN, "log", log), irq_error::none);
    struct sigaction action = {}, before;
    action.sa_handler = region_of_its_own;
    sigaction(SIGWINCH, &action, &before);
    raise(SIGWINCH);
    EXPECT_EQ(log.values, numbers(2));
    sigaction(SIGWINCH, &before, nullptr);
}

TEST_F(irq_mask, a_program_that_unblocks_everything_inside_loses_nothing) {
    value_log log;
    irq_handler handler;
    ASSERT_EQ(handler.request(SIGRTMIN, "log", log), irq_error::none);
    sigset_t none;
    sigemptyset(&none);
    const irq_flags flags = local_irq_save();
    for (int i = 0; i < 20; ++i) {
        queue_here(SIGRTMIN, i);
        pthread_sigmask(SIG_SETMASK, &none, nullptr);
    }
    EXPECT_TRUE(log.values.empty());
    local_irq_restore(flags);
    std::sort(log.values.begin(), log.values.end());
    EXPECT_EQ(log.values, numbers(20));
}

TEST_F(irq_mask, what_the_program_blocks_stays_blocked) {
    std::atomic<long> hits{0}, others{0};
    ASSERT_EQ(nmircu::request_irq(SIGUSR1, count, {}, "count", &hits), irq_error::none);
    ASSERT_EQ(nmircu::request_irq(SIGUSR2, count, {}, "others", &others), irq_error::none);
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &one, nullptr);
    const irq_flags flags = local_irq_save();
    raise_line(SIGUSR1);
    raise_line(SIGUSR2);
    local_irq_restore(flags);
    EXPECT_EQ(hits, 1);
    EXPECT_EQ(others, 0);
    EXPECT_TRUE(blocks(SIGUSR2));
    pthread_sigmask(SIG_UNBLOCK, &one, nullptr);
    EXPECT_EQ(others, 1);
    EXPECT_EQ(nmircu::free_irq(SIGUSR1, &hits), irq_error::none);
    EXPECT_EQ(nmircu::free_irq(SIGUSR2, &others), irq_error::none);
}

// Everything that can interrupt a region's two ends, at every moment: another thread sends without
// pause while this one masks and unmasks.
TEST_F(irq_mask, nothing_is_lost_at_the_ends_of_a_region) {
    static constexpr int total = 20000;
    value_log log;
    log.values.reserve(total);
    irq_handler handler;
    ASSERT_EQ(handler.request(SIGRTMIN, "log", log), irq_error::none);
    const int target = thread_id();
    std::atomic<bool> done{false};
    std::thread sender([&] {
        for (int i = 0; i < total;) {
            // The queue is bounded; a sender who finds it full waits.
            if (queue_to(target, SIGRTMIN, i) == 0) {
                ++i;
            } else {
                std::this_thread::yield();
            }
        }
        done.store(true, std::memory_order_release);
    });
    while (!done.load(std::memory_order_acquire)) {
        nmircu::irq_guard outer;
        nmircu::irq_guard inner;
    }
    sender.join();
    EXPECT_EQ(log.values, numbers(total));
}

TEST_F(irq_mask, fork_keeps_the_region_and_leaves_what_waits_to_the_parent) {
    std::atomic<long> hits{0};
    ASSERT_EQ(nmircu::request_irq(SIGUSR1, count, {}, "count", &hits), irq_error::none);
    const irq_flags flags = local_irq_save();
    raise_line(SIGUSR1);
    raise_line(SIGUSR1);
    EXPECT_EQ(nmircu_test::in_child([&] {
                  const bool masked = nmircu::irqs_disabled();
                  local_irq_restore(flags);
                  const bool nothing = hits == 0 && !blocks(SIGUSR1);
                  raise_line(SIGUSR1);
                  return masked && nothing && hits == 1 ? 0 : 1;
              }),
              0);
    EXPECT_EQ(hits, 0);
    local_irq_restore(flags);
    EXPECT_EQ(hits, 1);
    EXPECT_EQ(nmircu::free_irq(SIGUSR1, &hits), irq_error::none);
}

sigjmp_buf escape;

TEST_F(irq_mask, a_previous_owner_gets_what_waited_and_may_jump) {
    static std::vector<int> owned;
    owned.clear();
    owned.reserve(16);
    struct sigaction action = {}, before;
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int, siginfo_t* info, void*) {
        owned.push_back(info->si_value.sival_int);
        if (info->si_value.sival_int == 2) siglongjmp(escape, 1);
    };
    const int line = SIGRTMIN + 3;
    sigaction(line, &action, &before);
    std::atomic<long> asked{0};
    ASSERT_EQ(nmircu::request_irq(line, decline, {}, "decline", &asked), irq_error::none);
    if (sigsetjmp(escape, 1) == 0) {
        const irq_flags flags = local_irq_save();
        for (int i = 2; i < 5; ++i)
            queue_here(line, i);
        local_irq_restore(flags);
    }
    EXPECT_THAT(owned, testing::ElementsAre(2, 3, 4));
    EXPECT_EQ(asked, 3);
    EXPECT_EQ(nmircu::irq_read_line(line).forwarded, 3u);
    EXPECT_FALSE(blocks(line));
    EXPECT_EQ(nmircu::free_irq(line, &asked), irq_error::none);
}

}  // namespace
