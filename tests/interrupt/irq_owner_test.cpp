// SPDX-License-Identifier: MIT
//
// Property: a line is borrowed. When its last user frees it, the signal has the action it had
// before, to the flag; and a signal that came just before, and reaches nobody any more, is treated
// by that action too.
#include <sys/mman.h>
#include <sys/wait.h>

#include <cerrno>
#include <thread>

#include <gtest/gtest.h>

#include "../support/in_child.hpp"
#include "irq_lines.hpp"

namespace {

using namespace irq_test;
using nmircu::irq_error;
using nmircu::irq_handler_flags;
using nmircu_test::in_child;

constexpr irq_error ok = irq_error::none;

// Each case needs a process of its own, whose actions are the default ones but for what it sets.
#define EXPECT_CHILD(status, body) EXPECT_EQ(in_child([] body), status)

std::atomic<long> hits{0};

bool request(int line, nmircu::irq_handler_t handler = count) {
    return nmircu::request_irq(line, handler, {}, "line", &hits) == ok;
}
bool free_it(int line) {
    return nmircu::free_irq(line, &hits) == ok;
}

struct sigaction action_of(int signal) {
    struct sigaction now = {};
    sigaction(signal, nullptr, &now);
    return now;
}

void own(int signal, void (*handler)(int), int flags = 0) {
    struct sigaction action = {};
    action.sa_handler = handler;
    action.sa_flags = flags;
    sigaction(signal, &action, nullptr);
}

std::atomic<long> owned{0};
std::atomic<int> owned_value{0};
void count_owned(int) {
    owned.fetch_add(1, std::memory_order_relaxed);
}
void note_owned(int, siginfo_t* info, void*) {
    owned_value.store(info->si_value.sival_int);
    owned.fetch_add(1, std::memory_order_relaxed);
}
void own_with_value(int signal) {
    struct sigaction action = {};
    action.sa_sigaction = note_owned;
    action.sa_flags = SA_SIGINFO;
    sigaction(signal, &action, nullptr);
}

TEST(irq_owner, the_default_action_comes_back) {
    EXPECT_CHILD(128 + SIGTERM, {
        if (!request(SIGTERM)) return 1;
        raise_line(SIGTERM);
        if (hits != 1) return 2;
        if (!free_it(SIGTERM)) return 3;
        raise_line(SIGTERM);
        return 4;
    });
}

TEST(irq_owner, it_comes_back_for_a_queueing_line_too) {
    EXPECT_CHILD(128 + SIGRTMIN, {
        if (!request(SIGRTMIN) || !free_it(SIGRTMIN)) return 1;
        queue_here(SIGRTMIN, 1);
        return 2;
    });
}

TEST(irq_owner, what_a_handler_declines_does_not_end_the_program) {
    EXPECT_CHILD(0, {
        if (!request(SIGTERM, decline)) return 1;
        raise_line(SIGTERM);
        return nmircu::irq_read_line(SIGTERM).unhandled == 1 ? 0 : 2;
    });
}

TEST(irq_owner, the_last_of_several_users_gives_it_back) {
    EXPECT_CHILD(128 + SIGTERM, {
        static std::atomic<long> other{0};
        const auto shared = irq_handler_flags::shared;
        if (nmircu::request_irq(SIGTERM, count, shared, "a", &hits) != ok) return 1;
        if (nmircu::request_irq(SIGTERM, count, shared, "b", &other) != ok) return 2;
        if (!free_it(SIGTERM)) return 3;
        raise_line(SIGTERM);
        if (other != 1) return 4;
        if (free_it(SIGTERM)) return 5;  // no user any more: nothing is given back
        raise_line(SIGTERM);
        if (other != 2) return 6;
        if (nmircu::free_irq(SIGTERM, &other) != ok) return 7;
        raise_line(SIGTERM);
        return 8;
    });
}

TEST(irq_owner, an_ignored_signal_is_ignored_again) {
    EXPECT_CHILD(0, {
        own(SIGUSR1, SIG_IGN);
        if (!request(SIGUSR1) || !free_it(SIGUSR1)) return 1;
        if (action_of(SIGUSR1).sa_handler != SIG_IGN) return 2;
        raise_line(SIGUSR1);
        return hits == 0 ? 0 : 3;
    });
}

TEST(irq_owner, children_whose_end_is_ignored_are_reaped_again) {
    EXPECT_CHILD(0, {
        own(SIGCHLD, SIG_IGN);
        if (!request(SIGCHLD) || !free_it(SIGCHLD)) return 1;
        const pid_t child = fork();
        if (child == 0) _exit(0);
        return waitpid(child, nullptr, 0) == -1 && errno == ECHILD ? 0 : 2;
    });
}

TEST(irq_owner, a_handler_comes_back_with_flags_mask_and_information) {
    EXPECT_CHILD(0, {
        struct sigaction before = {};
        before.sa_sigaction = note_owned;
        before.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
        sigaddset(&before.sa_mask, SIGUSR2);
        sigaction(SIGUSR1, &before, nullptr);
        before = action_of(SIGUSR1);
        if (!request(SIGUSR1)) return 1;
        queue_here(SIGUSR1, 5);
        if (owned != 0 || !free_it(SIGUSR1)) return 2;
        const struct sigaction after = action_of(SIGUSR1);
        if (after.sa_sigaction != before.sa_sigaction) return 3;
        if (after.sa_flags != before.sa_flags) return 4;
        if (!sigismember(&after.sa_mask, SIGUSR2) || sigismember(&after.sa_mask, SIGHUP)) return 5;
        queue_here(SIGUSR1, 7);
        return owned == 1 && owned_value == 7 && hits == 1 ? 0 : 6;
    });
}

TEST(irq_owner, one_that_asked_for_one_call_is_called_once) {
    EXPECT_CHILD(128 + SIGUSR1, {
        own(SIGUSR1, count_owned, static_cast<int>(SA_RESETHAND));
        if (!request(SIGUSR1) || !free_it(SIGUSR1)) return 1;
        raise_line(SIGUSR1);
        if (owned != 1) return 2;
        raise_line(SIGUSR1);
        return 3;
    });
}

TEST(irq_owner, a_call_that_was_used_up_meanwhile_does_not_come_back) {
    EXPECT_CHILD(128 + SIGUSR1, {
        own(SIGUSR1, count_owned, static_cast<int>(SA_RESETHAND));
        if (!request(SIGUSR1, decline)) return 1;
        raise_line(SIGUSR1);
        if (owned != 1) return 2;
        raise_line(SIGUSR1);  // declined, and the default action is not for a line with users
        if (owned != 1 || !free_it(SIGUSR1)) return 3;
        if (action_of(SIGUSR1).sa_handler != SIG_DFL) return 4;
        raise_line(SIGUSR1);
        return 5;
    });
}

TEST(irq_owner, a_freed_line_can_be_requested_again) {
    EXPECT_CHILD(128 + SIGTERM, {
        for (int round = 1; round <= 3; ++round) {
            if (!request(SIGTERM)) return 1;
            raise_line(SIGTERM);
            if (hits != round || !free_it(SIGTERM)) return 2;
        }
        raise_line(SIGTERM);
        return 3;
    });
}

TEST(irq_owner, what_the_program_sets_after_the_free_is_found_by_the_next_user) {
    EXPECT_CHILD(0, {
        if (!request(SIGTERM) || !free_it(SIGTERM)) return 1;
        own(SIGTERM, count_owned);
        if (!request(SIGTERM, decline)) return 2;
        raise_line(SIGTERM);
        if (owned != 1 || !free_it(SIGTERM)) return 3;
        raise_line(SIGTERM);
        return owned == 2 ? 0 : 4;
    });
}

TEST(irq_owner, a_disabled_line_that_is_freed_drops_what_it_remembered) {
    EXPECT_CHILD(128 + SIGTERM, {
        if (!request(SIGTERM) || nmircu::disable_irq(SIGTERM) != ok) return 1;
        raise_line(SIGTERM);
        if (!free_it(SIGTERM)) return 2;
        if (nmircu::irq_read_line(SIGTERM).dropped != 1) return 3;
        raise_line(SIGTERM);
        return 4;
    });
}

// Somebody who has set a handler of his own over ours keeps it, and may call ours as the one that
// was there before.
void (*below)(int, siginfo_t*, void*) = nullptr;
void call_below(int signal, siginfo_t* info, void* context) {
    below(signal, info, context);
}
bool take_over(int signal) {
    struct sigaction action = {};
    struct sigaction before = {};
    action.sa_sigaction = call_below;
    action.sa_flags = SA_SIGINFO;
    sigaction(signal, &action, &before);
    below = before.sa_sigaction;
    return (before.sa_flags & SA_SIGINFO) != 0;
}

TEST(irq_owner, who_stands_above_us_stays_and_reaches_the_owner_below) {
    EXPECT_CHILD(0, {
        own_with_value(SIGUSR1);
        if (!request(SIGUSR1) || !take_over(SIGUSR1)) return 1;
        queue_here(SIGUSR1, 1);
        if (hits != 1 || !free_it(SIGUSR1)) return 2;
        if (action_of(SIGUSR1).sa_sigaction != call_below) return 3;
        queue_here(SIGUSR1, 2);
        return hits == 1 && owned == 1 && owned_value == 2 ? 0 : 4;
    });
}

TEST(irq_owner, who_stands_above_us_reaches_the_default_action_below) {
    EXPECT_CHILD(128 + SIGTERM, {
        if (!request(SIGTERM) || !take_over(SIGTERM)) return 1;
        raise_line(SIGTERM);
        if (hits != 1 || !free_it(SIGTERM)) return 2;
        raise_line(SIGTERM);
        return 3;
    });
}

TEST(irq_owner, our_handler_put_back_by_the_program_does_nothing_for_ever) {
    EXPECT_CHILD(128 + SIGTERM, {
        if (!request(SIGTERM)) return 1;
        const struct sigaction ours = action_of(SIGTERM);
        if (!free_it(SIGTERM)) return 2;
        sigaction(SIGTERM, &ours, nullptr);
        if (!request(SIGTERM, decline)) return 3;
        raise_line(SIGTERM);
        if (hits != 1 || !free_it(SIGTERM)) return 4;
        sigaction(SIGTERM, &ours, nullptr);
        raise_line(SIGTERM);
        return 5;
    });
}

// What a thread keeps back when the line is freed. ThreadSanitizer delivers signals at moments of
// its own.
struct irq_owner_mask : testing::Test {
    void SetUp() override {
        if (nmircu::detail::under_thread_sanitizer) GTEST_SKIP() << "it delays signals";
    }
};

TEST_F(irq_owner_mask, a_kept_signal_gets_the_default_action_at_the_end_of_the_region) {
    void* const shared = mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(shared, MAP_FAILED);
    auto& reached = *new (shared) std::atomic<int>{0};
    EXPECT_EQ(in_child([&] {
                  if (!request(SIGTERM)) return 1;
                  nmircu::irq_guard guard;
                  raise_line(SIGTERM);
                  if (!free_it(SIGTERM) || hits != 0) return 2;
                  reached.store(1);
                  return 0;  // not after the guard
              }),
              128 + SIGTERM);
    EXPECT_EQ(reached, 1);
    munmap(shared, sizeof(reached));
}

TEST_F(irq_owner_mask, a_kept_signal_reaches_the_handler_that_was_there_before) {
    EXPECT_CHILD(0, {
        own_with_value(SIGUSR1);
        if (!request(SIGUSR1)) return 1;
        {
            nmircu::irq_guard guard;
            queue_here(SIGUSR1, 7);
            if (!free_it(SIGUSR1) || owned != 0) return 2;
        }
        if (owned != 1 || owned_value != 7 || hits != 0) return 3;
        sigset_t mask;
        pthread_sigmask(SIG_BLOCK, nullptr, &mask);
        return sigismember(&mask, SIGUSR1) ? 4 : 0;
    });
}

TEST_F(irq_owner_mask, kept_signals_that_queue_all_reach_it) {
    EXPECT_CHILD(0, {
        own_with_value(SIGRTMIN);
        if (!request(SIGRTMIN)) return 1;
        {
            nmircu::irq_guard guard;
            for (int i = 0; i < 20; ++i)
                queue_here(SIGRTMIN, i);
            if (!free_it(SIGRTMIN)) return 2;
        }
        return owned == 20 && hits == 0 ? 0 : 3;
    });
}

TEST_F(irq_owner_mask, a_kept_signal_that_was_ignored_is_ignored) {
    EXPECT_CHILD(0, {
        own(SIGUSR1, SIG_IGN);
        if (!request(SIGUSR1)) return 1;
        {
            nmircu::irq_guard guard;
            raise_line(SIGUSR1);
            if (!free_it(SIGUSR1)) return 2;
        }
        return hits == 0 ? 0 : 3;
    });
}

TEST_F(irq_owner_mask, a_kept_signal_reaches_the_next_user) {
    EXPECT_CHILD(0, {
        if (!request(SIGTERM)) return 1;
        {
            nmircu::irq_guard guard;
            raise_line(SIGTERM);
            if (!free_it(SIGTERM) || !request(SIGTERM)) return 2;
            if (hits != 0) return 3;
        }
        return hits == 1 ? 0 : 4;
    });
}

// Signals that queue are sent to threads, masked now and then, while the line comes and goes:
// each is seen once, by its handler or by the owner.
TEST_F(irq_owner_mask, nothing_is_lost_or_seen_twice_under_a_storm) {
    EXPECT_CHILD(0, {
        static constexpr int targets = 2;
        static constexpr int each = 4000;
        static std::atomic<int> tids[targets];
        static std::atomic<bool> stop{false};
        const int line = SIGRTMIN + 1;
        own_with_value(line);
        std::thread threads[targets];
        for (int i = 0; i < targets; ++i) {
            threads[i] = std::thread([i] {
                tids[i].store(thread_id());
                while (!stop.load())
                    nmircu::irq_guard guard;
            });
        }
        std::thread sender([line] {
            for (const std::atomic<int>& tid : tids) {
                while (tid.load() == 0)
                    std::this_thread::yield();
            }
            for (int i = 0; i < each * targets;) {
                if (queue_to(tids[i % targets].load(), line, i) == 0) {
                    ++i;
                } else {
                    std::this_thread::yield();
                }
            }
            stop.store(true);
        });
        for (long rounds = 0; !stop.load() || rounds < 3; ++rounds) {
            if (!request(line)) _exit(1);
            if (!free_it(line)) _exit(2);
        }
        sender.join();
        for (std::thread& thread : threads)
            thread.join();
        if (action_of(line).sa_sigaction != note_owned) return 3;
        const long lost = static_cast<long>(nmircu::irq_read_line(line).dropped);
        return hits + owned + lost == each * targets && lost == 0 ? 0 : 4;
    });
}

// The same with the default action, which ends the program as soon as it is reached.
TEST_F(irq_owner_mask, a_signal_meets_a_handler_or_the_end) {
    EXPECT_CHILD(128 + SIGTERM, {
        if (!request(SIGTERM)) return 1;
        std::thread sender([] {
            const pid_t process = ::getpid();
            for (;;)
                ::kill(process, SIGTERM);
        });
        while (hits < 100)
            std::this_thread::yield();
        if (!free_it(SIGTERM)) return 2;
        sender.join();
        return 3;
    });
}

}  // namespace
