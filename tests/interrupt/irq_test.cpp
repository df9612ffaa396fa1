// SPDX-License-Identifier: MIT
//
// Property: a line's handlers are called while they are registered and the line is enabled, and
// nobody is inside a handler that has been freed; whatever is refused says why and changes nothing.
#include <sys/wait.h>
#include <time.h>

#include <memory>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/in_child.hpp"
#include "irq_lines.hpp"

namespace {

using namespace irq_test;
using nmircu::irq_error;
using nmircu::irq_handler;
using nmircu::irq_handler_flags;

struct irq : testing::Test {
    void TearDown() override {
        EXPECT_EQ(nmircu::irq_handlers(nullptr, 0, nullptr, 0), 0u);
        EXPECT_FALSE(nmircu::in_irq());
    }
};

TEST_F(irq, requested_called_freed) {
    std::atomic<long> hits{0};
    ASSERT_EQ(nmircu::request_irq(SIGUSR1, count, irq_handler_flags::none, "hits", &hits),
              irq_error::none);
    raise_line(SIGUSR1);
    EXPECT_EQ(hits, 1);
    EXPECT_EQ(nmircu::free_irq(SIGUSR1, &hits), irq_error::none);
    const auto before = nmircu::irq_read_line(SIGUSR1);
    const auto previous = signal(SIGUSR1, SIG_IGN);
    EXPECT_EQ(previous, SIG_DFL);  // the line's action is the program's again
    raise_line(SIGUSR1);
    EXPECT_EQ(hits, 1);
    EXPECT_EQ(nmircu::irq_read_line(SIGUSR1).taken, before.taken);
    signal(SIGUSR1, previous);
}

TEST_F(irq, a_timer_of_the_process_is_a_line) {
    std::atomic<long> hits{0};
    ASSERT_EQ(nmircu::request_irq(SIGALRM, count, {}, "alarm", &hits), irq_error::none);
    sigevent event = {};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGALRM;
    timer_t timer;
    ASSERT_EQ(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    itimerspec every = {};
    every.it_interval.tv_nsec = every.it_value.tv_nsec = 1'000'000;
    timer_settime(timer, 0, &every, nullptr);
    while (hits.load() < 5)
        take_pending_signals();
    timer_delete(timer);
    EXPECT_EQ(nmircu::free_irq(SIGALRM, &hits), irq_error::none);
}

TEST_F(irq, a_child_that_ends_is_an_interrupt_and_interrupts_no_system_call) {
    if (nmircu::detail::under_thread_sanitizer) {
        GTEST_SKIP() << "it may keep the signal until a thread that waits has returned";
    }
    static std::atomic<int> who{0};
    auto handler = [](pt_regs& regs, int) {
        who.store(info_of(&regs).si_pid);
        return nmircu::irq_handled;
    };
    irq_handler line;
    ASSERT_EQ(line.request(SIGCHLD, "children", handler), irq_error::none);
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) _exit(0);
    // Reads until the signal has come, which it does not notice.
    std::thread writer([&] {
        while (who.load() == 0)
            std::this_thread::yield();
        EXPECT_EQ(write(ends[1], "x", 1), 1);
    });
    char byte = 0;
    EXPECT_EQ(read(ends[0], &byte, 1), 1);
    writer.join();
    EXPECT_EQ(waitpid(child, nullptr, 0), child);
    EXPECT_EQ(who.load(), child);
    close(ends[0]);
    close(ends[1]);
}

TEST_F(irq, shared_lines_ask_everybody) {
    std::atomic<long> a{0}, b{0};
    ASSERT_EQ(nmircu::request_irq(SIGUSR1, decline, irq_handler_flags::shared, "a", &a),
              irq_error::none);
    ASSERT_EQ(nmircu::request_irq(SIGUSR1, count, irq_handler_flags::shared, "b", &b),
              irq_error::none);
    const auto before = nmircu::irq_read_line(SIGUSR1);
    raise_line(SIGUSR1);
    EXPECT_EQ(a, 1);
    EXPECT_EQ(b, 1);
    EXPECT_EQ(nmircu::irq_read_line(SIGUSR1).unhandled, before.unhandled);
    EXPECT_EQ(nmircu::irq_read_line(SIGUSR1).users, 2u);
    EXPECT_EQ(nmircu::free_irq(SIGUSR1, &b), irq_error::none);
    raise_line(SIGUSR1);
    EXPECT_EQ(a, 2);
    EXPECT_EQ(b, 1);
    EXPECT_EQ(nmircu::irq_read_line(SIGUSR1).unhandled, before.unhandled + 1);
    EXPECT_EQ(nmircu::free_irq(SIGUSR1, &a), irq_error::none);
}

TEST_F(irq, sharing_takes_two) {
    std::atomic<long> a{0}, b{0};
    ASSERT_EQ(nmircu::request_irq(SIGUSR1, count, irq_handler_flags::none, "a", &a),
              irq_error::none);
    EXPECT_EQ(nmircu::request_irq(SIGUSR1, count, irq_handler_flags::shared, "b", &b),
              irq_error::line_busy);
    EXPECT_EQ(nmircu::free_irq(SIGUSR1, &a), irq_error::none);
    ASSERT_EQ(nmircu::request_irq(SIGUSR1, count, irq_handler_flags::shared, "a", &a),
              irq_error::none);
    EXPECT_EQ(nmircu::request_irq(SIGUSR1, count, irq_handler_flags::none, "b", &b),
              irq_error::line_busy);
    EXPECT_EQ(nmircu::request_irq(SIGUSR1, count, irq_handler_flags::shared, "b", &a),
              irq_error::cookie_taken);
    raise_line(SIGUSR1);
    EXPECT_EQ(a, 1);
    EXPECT_EQ(b, 0);
    EXPECT_EQ(nmircu::free_irq(SIGUSR1, &a), irq_error::none);
}

TEST_F(irq, bad_input_says_which_rule_and_changes_nothing) {
    std::atomic<long> hits{0};
    const auto request = [&](int line, nmircu::irq_handler_t handler = count,
                             irq_handler_flags flags = irq_handler_flags::none,
                             const char* name = "bad", void* cookie = nullptr) {
        return nmircu::request_irq(line, handler, flags, name, cookie);
    };
    for (const int line : {-1, 0, 65, 1000, 0x7fffffff})
        EXPECT_EQ(request(line), irq_error::no_such_line) << line;
    for (const int line : {SIGKILL, SIGSTOP})
        EXPECT_EQ(request(line), irq_error::unstoppable_line) << line;
    for (const int line : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS})
        EXPECT_EQ(request(line), irq_error::fault_line) << line;
    for (const int line : {32, 33})
        EXPECT_EQ(request(line), irq_error::line_of_libc) << line;
    EXPECT_EQ(request(SIGSTKFLT), irq_error::line_of_nmis);
    EXPECT_EQ(request(SIGUSR1, nullptr), irq_error::null_handler);
    EXPECT_EQ(request(SIGUSR1, count, irq_handler_flags{6}), irq_error::bad_flags);
    EXPECT_EQ(request(SIGUSR1, count, irq_handler_flags::shared), irq_error::null_cookie);
    EXPECT_EQ(request(SIGUSR1, count, {}, nullptr), irq_error::bad_name);
    EXPECT_EQ(request(SIGUSR1, count, {}, ""), irq_error::bad_name);
    EXPECT_EQ(request(SIGUSR1, count, {}, std::string(32, 'x').c_str()), irq_error::bad_name);
    EXPECT_EQ(nmircu::irq_read_line(SIGUSR1).users, 0u);

    EXPECT_EQ(nmircu::free_irq(SIGUSR1, &hits), irq_error::not_requested);
    EXPECT_EQ(nmircu::free_irq(SIGKILL, &hits), irq_error::unstoppable_line);
    EXPECT_EQ(nmircu::synchronize_irq(99), irq_error::no_such_line);
    EXPECT_EQ(nmircu::disable_irq(SIGUSR1), irq_error::not_requested);
    EXPECT_EQ(nmircu::disable_irq_nosync(0), irq_error::no_such_line);
    EXPECT_EQ(nmircu::enable_irq(SIGUSR1), irq_error::not_requested);
    EXPECT_EQ(nmircu::irq_read_line(-1).taken, 0u);

    ASSERT_EQ(request(SIGUSR1, count, {}, "good", &hits), irq_error::none);
    EXPECT_EQ(request(SIGUSR2, count, {}, "good"), irq_error::name_taken);
    EXPECT_EQ(nmircu::irq_read_line(SIGUSR2).users, 0u);
    EXPECT_EQ(nmircu::enable_irq(SIGUSR1), irq_error::not_disabled);
    EXPECT_EQ(nmircu::free_irq(SIGUSR1, nullptr), irq_error::not_requested);
    raise_line(SIGUSR1);
    EXPECT_EQ(hits, 1);
    EXPECT_EQ(nmircu::free_irq(SIGUSR1, &hits), irq_error::none);
    EXPECT_EQ(nmircu::free_irq(SIGUSR1, &hits), irq_error::not_requested);
}

TEST_F(irq, freeing_a_line_from_its_own_handler_is_an_error_and_changes_nothing) {
    struct device {
        long hits = 0;
        irq_error freed = irq_error::none, released = irq_error::none;
        nmircu::irq_handler* object = nullptr;
    } device;
    const auto tries_to_leave = [](void* cookie, nmircu::pt_regs*, int line) {
        auto& self = *static_cast<struct device*>(cookie);
        ++self.hits;
        self.freed = nmircu::free_irq(line, &self);
        self.released = self.object->release();
        return nmircu::irq_handled;
    };
    nmircu::irq_handler object;
    device.object = &object;
    ASSERT_EQ(object.request(SIGUSR1, "device", tries_to_leave, &device), irq_error::none);
    for (long i = 1; i <= 2; ++i) {
        raise_line(SIGUSR1);
        EXPECT_EQ(device.hits, i);
        EXPECT_EQ(device.freed, irq_error::own_handler);
        EXPECT_EQ(device.released, irq_error::own_handler);
        EXPECT_TRUE(object.requested());
    }
    EXPECT_EQ(object.release(), irq_error::none);
}

TEST_F(irq, every_error_has_a_sentence_of_its_own) {
    std::vector<std::string> seen;
    for (int i = 0; i <= static_cast<int>(irq_error::own_handler); ++i) {
        const std::string text = nmircu::describe(irq_error(i));
        EXPECT_NE(text, "unknown error");
        EXPECT_THAT(seen, testing::Not(testing::Contains(text)));
        seen.push_back(text);
    }
    EXPECT_STREQ(nmircu::describe(irq_error(200)), "unknown error");
}

TEST_F(irq, at_most_64_handlers) {
    static std::atomic<long> hits[65];
    const auto flags = irq_handler_flags::shared;
    for (int i = 0; i < 64; ++i) {
        ASSERT_EQ(nmircu::request_irq(SIGUSR1, count, flags, std::to_string(i).c_str(), &hits[i]),
                  irq_error::none);
    }
    EXPECT_EQ(nmircu::request_irq(SIGUSR1, count, flags, "64", &hits[64]), irq_error::too_many);
    raise_line(SIGUSR1);
    for (int i = 0; i < 64; ++i) {
        EXPECT_EQ(hits[i], 1);
        EXPECT_EQ(nmircu::free_irq(SIGUSR1, &hits[i]), irq_error::none);
    }
    EXPECT_EQ(hits[64], 0);
}

int add_one(int& cookie, pt_regs&, int) {
    ++cookie;
    return nmircu::irq_handled;
}

int plain_calls = 0;
int plain_function(pt_regs&, int) {
    return ++plain_calls, nmircu::irq_handled;
}
int add_to_calls(const int& how_many, pt_regs&, int) {
    plain_calls += how_many;
    return nmircu::irq_handled;
}

TEST_F(irq, functions_and_const_objects_are_callables_and_cookies) {
    const auto constant = [](pt_regs&, int) { return plain_calls += 10, nmircu::irq_handled; };
    const int hundred = 100;
    irq_handler by_function, by_constant, by_cookie;
    constexpr auto shared = irq_handler_flags::shared;
    ASSERT_EQ(by_function.request(SIGUSR1, "function", plain_function, shared), irq_error::none);
    ASSERT_EQ(by_constant.request(SIGUSR1, "constant", constant, shared), irq_error::none);
    ASSERT_EQ(by_cookie.request<add_to_calls>(SIGUSR1, "cookie", hundred, shared), irq_error::none);
    raise_line(SIGUSR1);
    EXPECT_EQ(plain_calls, 111);
}

TEST_F(irq, typed_registrations_end_with_their_scope) {
    int calls = 0, cookie = 0;
    auto callable = [&calls](pt_regs&, int line) {
        EXPECT_EQ(line, SIGUSR1);
        return ++calls, nmircu::irq_handled;
    };
    {
        irq_handler one, two;
        ASSERT_EQ(one.request(SIGUSR1, "callable", callable, irq_handler_flags::shared),
                  irq_error::none);
        EXPECT_EQ(one.request(SIGUSR2, "again", callable), irq_error::already_requested);
        ASSERT_EQ(two.request<add_one>(SIGUSR1, "cookie", cookie, irq_handler_flags::shared),
                  irq_error::none);
        raise_line(SIGUSR1);
        nmircu::irq_handler_statistics last;
        EXPECT_EQ(two.release(&last), irq_error::none);
        EXPECT_EQ(two.release(), irq_error::not_requested);
        EXPECT_STREQ(last.name, "cookie");
        EXPECT_EQ(last.line, SIGUSR1);
        EXPECT_EQ(last.calls, 1u);
        EXPECT_EQ(last.handled, 1u);
    }
    const auto previous = signal(SIGUSR1, SIG_IGN);
    raise_line(SIGUSR1);
    signal(SIGUSR1, previous);
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(cookie, 1);
}

TEST_F(irq, statistics) {
    std::atomic<long> a{0}, b{0};
    irq_handler one, two;
    ASSERT_EQ(one.request(SIGUSR1, "a", count, &a, irq_handler_flags::shared), irq_error::none);
    ASSERT_EQ(two.request(SIGUSR1, "b", decline, &b, irq_handler_flags::shared), irq_error::none);
    for (int i = 0; i < 10; ++i)
        raise_line(SIGUSR1);
    nmircu::irq_handler_statistics all[4];
    ASSERT_EQ(nmircu::irq_handlers(all, 4, nullptr, 0), 2u);
    EXPECT_STREQ(all[0].name, "a");
    EXPECT_EQ(all[0].line, SIGUSR1);
    EXPECT_EQ(all[0].calls, 10u);
    EXPECT_EQ(all[0].handled, 10u);
    EXPECT_EQ(all[1].calls, 10u);
    EXPECT_EQ(all[1].handled, 0u);
}

TEST_F(irq, a_disabled_line_remembers_one_standard_signal) {
    std::atomic<long> hits{0};
    ASSERT_EQ(nmircu::request_irq(SIGUSR1, count, {}, "hits", &hits), irq_error::none);
    const auto before = nmircu::irq_read_line(SIGUSR1);
    ASSERT_EQ(nmircu::disable_irq(SIGUSR1), irq_error::none);
    ASSERT_EQ(nmircu::disable_irq_nosync(SIGUSR1), irq_error::none);
    for (int i = 0; i < 3; ++i)
        raise_line(SIGUSR1);
    EXPECT_EQ(nmircu::irq_read_line(SIGUSR1).disabled, 2u);
    EXPECT_EQ(nmircu::enable_irq(SIGUSR1), irq_error::none);
    EXPECT_EQ(hits, 0);
    EXPECT_EQ(nmircu::enable_irq(SIGUSR1), irq_error::none);
    EXPECT_EQ(hits, 1);
    EXPECT_EQ(nmircu::enable_irq(SIGUSR1), irq_error::not_disabled);
    EXPECT_EQ(nmircu::irq_read_line(SIGUSR1).merged, before.merged + 2);
    raise_line(SIGUSR1);
    EXPECT_EQ(hits, 2);
    EXPECT_EQ(nmircu::free_irq(SIGUSR1, &hits), irq_error::none);
}

TEST_F(irq, a_disabled_line_remembers_128_queued_signals_in_order) {
    value_log log;
    irq_handler handler;
    ASSERT_EQ(handler.request(SIGRTMIN, "log", log), irq_error::none);
    for (int round = 0; round < 3; ++round) {
        log.values.clear();
        const auto before = nmircu::irq_read_line(SIGRTMIN);
        ASSERT_EQ(nmircu::disable_irq(SIGRTMIN), irq_error::none);
        for (int i = 0; i < 130; ++i)
            queue_here(SIGRTMIN, i);
        EXPECT_TRUE(log.values.empty());
        ASSERT_EQ(nmircu::enable_irq(SIGRTMIN), irq_error::none);
        ASSERT_EQ(log.values.size(), 128u);
        for (int i = 0; i < 128; ++i)
            EXPECT_EQ(log.values[static_cast<std::size_t>(i)], i);
        EXPECT_EQ(nmircu::irq_read_line(SIGRTMIN).dropped, before.dropped + 2);
    }
}

TEST_F(irq, a_handler_may_disable_its_line) {
    static int calls;
    calls = 0;
    auto once = [](pt_regs&, int line) {
        ++calls;
        EXPECT_EQ(nmircu::disable_irq_nosync(line), irq_error::none);
        return nmircu::irq_handled;
    };
    irq_handler handler;
    ASSERT_EQ(handler.request(SIGRTMIN, "once", once), irq_error::none);
    for (int i = 0; i < 3; ++i)
        queue_here(SIGRTMIN, i);
    EXPECT_EQ(calls, 1);
    // Each enabling takes one of those that wait, which disables the line again.
    EXPECT_EQ(nmircu::enable_irq(SIGRTMIN), irq_error::none);
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(nmircu::irq_read_line(SIGRTMIN).disabled, 1u);
    EXPECT_EQ(nmircu::enable_irq(SIGRTMIN), irq_error::none);
    EXPECT_EQ(calls, 3);
    EXPECT_EQ(nmircu::enable_irq(SIGRTMIN), irq_error::none);
    EXPECT_EQ(calls, 3);
}

TEST_F(irq, enabling_in_a_masked_region_is_refused) {
    std::atomic<long> hits{0};
    ASSERT_EQ(nmircu::request_irq(SIGUSR1, count, {}, "hits", &hits), irq_error::none);
    ASSERT_EQ(nmircu::disable_irq(SIGUSR1), irq_error::none);
    {
        nmircu::irq_guard guard;
        EXPECT_EQ(nmircu::enable_irq(SIGUSR1), irq_error::masked);
    }
    EXPECT_EQ(nmircu::irq_read_line(SIGUSR1).disabled, 1u);
    EXPECT_EQ(nmircu::enable_irq(SIGUSR1), irq_error::none);
    EXPECT_EQ(nmircu::free_irq(SIGUSR1, &hits), irq_error::none);
}

TEST_F(irq, the_next_user_finds_the_line_enabled_and_nothing_waiting) {
    std::atomic<long> hits{0};
    ASSERT_EQ(nmircu::request_irq(SIGUSR1, count, {}, "hits", &hits), irq_error::none);
    ASSERT_EQ(nmircu::disable_irq(SIGUSR1), irq_error::none);
    raise_line(SIGUSR1);
    ASSERT_EQ(nmircu::free_irq(SIGUSR1, &hits), irq_error::none);
    ASSERT_EQ(nmircu::request_irq(SIGUSR1, count, {}, "hits", &hits), irq_error::none);
    EXPECT_EQ(hits, 0);
    EXPECT_EQ(nmircu::enable_irq(SIGUSR1), irq_error::not_disabled);
    raise_line(SIGUSR1);
    EXPECT_EQ(hits, 1);
    EXPECT_EQ(nmircu::free_irq(SIGUSR1, &hits), irq_error::none);
}

std::atomic<bool> may_run{true};
std::atomic<long> too_late{0};
int count_if_allowed(void* cookie, pt_regs* regs, int line) {
    if (!may_run.load()) too_late.fetch_add(1);
    return count(cookie, regs, line);
}

// Three threads raise a line while another one disables and enables it.
TEST_F(irq, disabling_under_a_storm_keeps_the_handlers_out_and_loses_nothing) {
    static constexpr int senders = 3, each = 3000;
    std::atomic<long> hits{0};
    const int line = SIGRTMIN + 7;
    ASSERT_EQ(nmircu::request_irq(line, count_if_allowed, {}, "hits", &hits), irq_error::none);
    std::atomic<int> sending{senders};
    std::vector<std::thread> threads;
    for (int i = 0; i < senders; ++i) {
        threads.emplace_back([&] {
            for (int sent = 0; sent < each; ++sent)
                queue_here(line, sent);
            sending.fetch_sub(1);
        });
    }
    while (sending.load() != 0) {
        ASSERT_EQ(nmircu::disable_irq(line), irq_error::none);
        may_run.store(false);
        std::this_thread::yield();
        may_run.store(true);
        ASSERT_EQ(nmircu::enable_irq(line), irq_error::none);
    }
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(too_late, 0);
    EXPECT_EQ(hits + static_cast<long>(nmircu::irq_read_line(line).dropped), senders * each);
    EXPECT_EQ(nmircu::free_irq(line, &hits), irq_error::none);
}

// A signal to the process waits for the thread it has interrupted, and for no other.
TEST_F(irq, a_signal_to_the_process_is_handled_once) {
    std::atomic<long> hits{0};
    ASSERT_EQ(nmircu::request_irq(SIGUSR1, count, {}, "hits", &hits), irq_error::none);
    {
        nmircu::irq_guard guard;
        ::kill(::getpid(), SIGUSR1);
        take_pending_signals();
    }
    take_pending_signals();
    while (hits.load() == 0)
        std::this_thread::yield();
    EXPECT_EQ(hits, 1);
    EXPECT_EQ(nmircu::free_irq(SIGUSR1, &hits), irq_error::none);
}

// A handler that stays inside until it is let go; the waiting functions must not return before.
std::atomic<bool> inside{false}, let_go{false};
int park(void*, pt_regs*, int) {
    inside.store(true);
    while (!let_go.load()) {
    }
    inside.store(false);
    return nmircu::irq_handled;
}

class parked_handler : public irq, public testing::WithParamInterface<irq_error (*)()> {};

TEST_P(parked_handler, is_waited_for) {
    static int cookie;
    inside = let_go = false;
    ASSERT_EQ(nmircu::request_irq(SIGUSR1, park, {}, "parked", &cookie), irq_error::none);
    std::thread parked([] { raise_line(SIGUSR1); });
    while (!inside.load())
        std::this_thread::yield();
    std::atomic<bool> entered{false}, returned{false};
    std::thread waiter([&] {
        entered.store(true);
        EXPECT_EQ(GetParam()(), irq_error::none);
        EXPECT_FALSE(inside.load());
        returned.store(true);
    });
    while (!entered.load())
        std::this_thread::yield();
    for (int i = 0; i < 20; ++i)
        std::this_thread::yield();
    EXPECT_FALSE(returned.load());
    let_go.store(true);
    waiter.join();
    parked.join();
    static_cast<void>(nmircu::free_irq(SIGUSR1, &cookie));
}

INSTANTIATE_TEST_SUITE_P(by, parked_handler,
                         testing::Values([] { return nmircu::synchronize_irq(SIGUSR1); },
                                         [] { return nmircu::disable_irq(SIGUSR1); }));

TEST_F(irq, free_waits_for_a_handler) {
    static int cookie;
    inside = let_go = false;
    ASSERT_EQ(nmircu::request_irq(SIGUSR1, park, {}, "parked", &cookie), irq_error::none);
    std::thread parked([] { raise_line(SIGUSR1); });
    while (!inside.load())
        std::this_thread::yield();
    std::thread waiter([] {
        EXPECT_EQ(nmircu::free_irq(SIGUSR1, &cookie), irq_error::none);
        EXPECT_FALSE(inside.load());
    });
    for (int i = 0; i < 20; ++i)
        std::this_thread::yield();
    EXPECT_TRUE(inside.load());
    let_go.store(true);
    waiter.join();
    parked.join();
}

// What one of the threads below does in a round. Whatever is freed must not be reached: each round
// has memory of its own.
void request_and_free(int line, irq_handler_flags flags, const char* name) {
    auto hits = std::make_unique<std::atomic<long>>(0);
    ASSERT_EQ(nmircu::request_irq(line, count, flags, name, hits.get()), irq_error::none);
    raise_line(line);
    if (!nmircu::detail::under_thread_sanitizer) {
        EXPECT_GE(hits->load(), 1);
    }
    ASSERT_EQ(nmircu::free_irq(line, hits.get()), irq_error::none);
}

TEST_F(irq, requests_and_frees_under_a_storm) {
    static constexpr int threads = 4, rounds = 50;
    // Whenever the line is nobody's, the signals are the program's.
    const auto previous = signal(SIGUSR1, [](int) {});
    std::atomic<int> tids[threads] = {};
    std::atomic<int> working{threads};
    std::vector<std::thread> workers;
    for (int me = 0; me < threads; ++me) {
        workers.emplace_back([me, &tids, &working] {
            tids[me].store(thread_id());
            const std::string name = "worker " + std::to_string(me);
            for (int round = 0; round < rounds; ++round) {
                request_and_free(SIGUSR1, irq_handler_flags::shared, name.c_str());
                request_and_free(SIGRTMIN + me, irq_handler_flags::none, name.c_str());
            }
            working.fetch_sub(1);
        });
    }
    while (working.load() != 0) {
        for (const std::atomic<int>& tid : tids) {
            if (tid.load() != 0) ::syscall(SYS_tgkill, ::getpid(), tid.load(), SIGUSR1);
        }
        ::kill(::getpid(), SIGUSR1);
        std::this_thread::yield();
    }
    for (std::thread& worker : workers)
        worker.join();
    signal(SIGUSR1, previous);
}

TEST_F(irq, the_previous_owner_gets_what_nobody_claims) {
    static std::vector<int> owned;
    owned.clear();
    owned.reserve(16);
    const int line = SIGRTMIN + 5;
    struct sigaction action = {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int, siginfo_t* info, void*) {
        EXPECT_FALSE(nmircu::in_irq());
        EXPECT_FALSE(nmircu::rcu_read_held());
        owned.push_back(info->si_value.sival_int);
    };
    sigaction(line, &action, nullptr);
    std::atomic<long> asked{0};
    ASSERT_EQ(nmircu::request_irq(line, decline, {}, "decline", &asked), irq_error::none);
    queue_here(line, 1);
    ASSERT_EQ(nmircu::disable_irq(line), irq_error::none);
    queue_here(line, 2);
    EXPECT_EQ(owned.size(), 1u);
    ASSERT_EQ(nmircu::enable_irq(line), irq_error::none);
    ASSERT_EQ(nmircu::free_irq(line, &asked), irq_error::none);
    queue_here(line, 3);
    EXPECT_THAT(owned, testing::ElementsAre(1, 2, 3));
    EXPECT_EQ(asked, 2);
}

TEST_F(irq, a_line_that_the_program_has_taken_back_can_be_requested_again) {
    static volatile sig_atomic_t seen;
    seen = 0;
    std::atomic<long> hits{0};
    ASSERT_EQ(nmircu::request_irq(SIGUSR2, count, {}, "hits", &hits), irq_error::none);
    ASSERT_EQ(nmircu::free_irq(SIGUSR2, &hits), irq_error::none);
    signal(SIGUSR2, [](int) { seen = 1; });
    raise_line(SIGUSR2);
    EXPECT_EQ(seen, 1);
    seen = 0;
    ASSERT_EQ(nmircu::request_irq(SIGUSR2, count, {}, "hits", &hits), irq_error::none);
    raise_line(SIGUSR2);
    EXPECT_EQ(hits, 1);
    EXPECT_EQ(seen, 0);
    ASSERT_EQ(nmircu::free_irq(SIGUSR2, &hits), irq_error::none);
    raise_line(SIGUSR2);
    EXPECT_EQ(seen, 1);
}

TEST_F(irq, a_child_of_fork_has_the_handlers) {
    std::atomic<long> hits{0};
    ASSERT_EQ(nmircu::request_irq(SIGUSR1, count, {}, "hits", &hits), irq_error::none);
    ASSERT_EQ(nmircu::disable_irq(SIGUSR1), irq_error::none);
    raise_line(SIGUSR1);
    EXPECT_EQ(nmircu_test::in_child([&] {
                  // What waited is the parent's.
                  if (nmircu::enable_irq(SIGUSR1) != irq_error::none || hits != 0) return 1;
                  raise_line(SIGUSR1);
                  if (hits != 1) return 2;
                  return nmircu::free_irq(SIGUSR1, &hits) == irq_error::none ? 0 : 3;
              }),
              0);
    EXPECT_EQ(nmircu::enable_irq(SIGUSR1), irq_error::none);
    EXPECT_EQ(hits, 1);
    EXPECT_EQ(nmircu::free_irq(SIGUSR1, &hits), irq_error::none);
}

}  // namespace
