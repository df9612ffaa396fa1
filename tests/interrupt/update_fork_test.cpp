// SPDX-License-Identifier: MIT
//
// Property: whatever another thread was doing to a handler when the process forked, in the child
// the handler is either registered, and can be ended, or not; and its name, and its line, can be
// used again.
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nmircu/nmi.hpp>

#include "../support/in_child.hpp"
#include "irq_lines.hpp"

namespace {

using namespace irq_test;
using nmircu::irq_error;
using nmircu::nmi_error;
using nmircu::nmi_flags;
using nmircu::nmi_token;
using nmircu::nmi_type;
using nmircu_test::in_child;

constexpr int forks = 100, least_forks = 10;
constexpr std::chrono::seconds long_enough{20};

// Runs update(), again and again, on a thread of its own while the process forks; less often on a
// machine on which that takes long.
template <class Update, class Child>
void fork_during(Update update, Child child) {
    std::atomic<bool> stop{false};
    std::thread updater([&] {
        while (!stop.load())
            update();
    });
    int bad = 0;
    int last = 0;
    const auto end = std::chrono::steady_clock::now() + long_enough;
    for (int i = 0; i < forks && bad == 0; ++i) {
        if (i >= least_forks && std::chrono::steady_clock::now() >= end) break;
        last = in_child(child);
        if (last != 0) ++bad;
    }
    stop.store(true);
    updater.join();
    EXPECT_EQ(bad, 0) << "a child ended with " << last;
}

int claim(void* cookie, pt_regs*, int) {
    static_cast<std::atomic<long>*>(cookie)->fetch_add(1, std::memory_order_relaxed);
    return 1;
}
std::atomic<long> ignored{0}, ignored_too{0};

// The whole life of a handler of that name.
int name_can_be_used() {
    static std::atomic<long> hits{0};
    if (nmircu::find_nmi_handler("forked") != nmi_token{}) {
        if (nmircu::unregister_nmi_handler("forked") != nmi_error::none) return 1;
    }
    for (int round = 1; round <= 2; ++round) {
        nmi_token token{};
        if (nmircu::register_nmi_handler(nmi_type::local, claim, &hits, nmi_flags::none, "forked",
                                         &token) != nmi_error::none) {
            return 2;
        }
        static_cast<void>(raise_here());
        if (hits != round && !nmircu::detail::under_thread_sanitizer) return 3;
        if (nmircu::unregister_nmi_handler(token) != nmi_error::none) return 4;
    }
    return 0;
}

struct update_fork : testing::Test {
    void SetUp() override { ASSERT_EQ(nmircu::nmi_attach(), 0); }
};

nmi_token added() {
    nmi_token token{};
    const nmi_error error = nmircu::register_nmi_handler(nmi_type::local, claim, &ignored,
                                                         nmi_flags::none, "forked", &token);
    EXPECT_EQ(error, nmi_error::none);
    return token;
}

TEST_F(update_fork, added_and_removed) {
    fork_during([] { EXPECT_EQ(nmircu::unregister_nmi_handler(added()), nmi_error::none); },
                name_can_be_used);
}

TEST_F(update_fork, among_many_others) {
    std::vector<nmi_token> others(62);
    for (std::size_t i = 0; i < others.size(); ++i) {
        const std::string name = "other " + std::to_string(i);
        ASSERT_EQ(nmircu::register_nmi_handler(
                      nmi_type::local, [](void*, pt_regs*, int) { return 0; }, nullptr,
                      nmi_flags::none, name.c_str(), &others[i]),
                  nmi_error::none);
    }
    fork_during([] { EXPECT_EQ(nmircu::unregister_nmi_handler(added()), nmi_error::none); },
                name_can_be_used);
    for (const nmi_token other : others)
        EXPECT_EQ(nmircu::unregister_nmi_handler(other), nmi_error::none);
}

TEST_F(update_fork, removed_later) {
    fork_during(
        [] {
            EXPECT_EQ(nmircu::unregister_nmi_handler_later(added(), nullptr, nullptr),
                      nmi_error::none);
            nmircu::rcu_barrier();
        },
        name_can_be_used);
}

// The removal is not over for a long time: who waits for it is not in the child.
TEST_F(update_fork, while_a_removal_waits_for_a_reader) {
    const nmi_token token = added();
    std::atomic<bool> inside{false}, leave{false}, removed{false};
    std::thread reader([&] {
        nmircu::rcu_default_domain().lock();
        inside.store(true);
        while (!leave.load())
            std::this_thread::yield();
        nmircu::rcu_default_domain().unlock();
    });
    while (!inside.load())
        std::this_thread::yield();
    std::thread remover([&] {
        EXPECT_EQ(nmircu::unregister_nmi_handler(token), nmi_error::none);
        removed.store(true);
    });
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(in_child(name_can_be_used), 0);
        std::this_thread::yield();
    }
    EXPECT_FALSE(removed.load());
    leave.store(true);
    reader.join();
    remover.join();
}

// Of a line: the handler, if there is one, can be freed, and then the line is anybody's.
int line_can_be_used() {
    static std::atomic<long> hits{0};
    if (nmircu::irq_read_line(SIGUSR1).users > 1) return 1;
    if (nmircu::irq_read_line(SIGUSR1).users == 1 &&
        nmircu::free_irq(SIGUSR1, &ignored) != irq_error::none) {
        return 2;
    }
    for (int round = 1; round <= 2; ++round) {
        if (nmircu::irq_read_line(SIGUSR1).users != 0) return 3;
        if (nmircu::request_irq(SIGUSR1, count, {}, "line", &hits) != irq_error::none) return 4;
        raise_line(SIGUSR1);
        if (hits != round && !nmircu::detail::under_thread_sanitizer) return 5;
        if (nmircu::free_irq(SIGUSR1, &hits) != irq_error::none) return 6;
    }
    struct sigaction now = {};
    sigaction(SIGUSR1, nullptr, &now);
    return now.sa_handler == SIG_DFL ? 0 : 7;
}

TEST_F(update_fork, a_line_requested_and_freed) {
    if (nmircu::detail::under_thread_sanitizer) GTEST_SKIP() << "forked children start no threads";
    fork_during(
        [] {
            EXPECT_EQ(nmircu::request_irq(SIGUSR1, count, {}, "line", &ignored), irq_error::none);
            EXPECT_EQ(nmircu::free_irq(SIGUSR1, &ignored), irq_error::none);
        },
        line_can_be_used);
}

TEST_F(update_fork, a_line_whose_users_come_and_go) {
    if (nmircu::detail::under_thread_sanitizer) GTEST_SKIP() << "forked children start no threads";
    fork_during(
        [] {
            const auto shared = nmircu::irq_handler_flags::shared;
            EXPECT_EQ(nmircu::request_irq(SIGUSR1, count, shared, "a", &ignored), irq_error::none);
            EXPECT_EQ(nmircu::request_irq(SIGUSR1, count, shared, "b", &ignored_too),
                      irq_error::none);
            EXPECT_EQ(nmircu::free_irq(SIGUSR1, &ignored), irq_error::none);
            EXPECT_EQ(nmircu::free_irq(SIGUSR1, &ignored_too), irq_error::none);
        },
        [] {
            const unsigned users = nmircu::irq_read_line(SIGUSR1).users;
            if (users != nmircu::irq_handlers(nullptr, 0, nullptr, 0)) return 10;
            unsigned freed = 0;
            for (std::atomic<long>* cookie : {&ignored, &ignored_too}) {
                if (nmircu::free_irq(SIGUSR1, cookie) == irq_error::none) ++freed;
            }
            return freed == users ? line_can_be_used() : 11;
        });
}

}  // namespace
