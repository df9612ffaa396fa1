// SPDX-License-Identifier: MIT
//
// Property: a forked child reclaims its copy of the backlog exactly once, whatever the parent's
// reclaimer and retirers were doing; and the parent loses nothing by it.
#include <signal.h>
#include <sys/mman.h>

#include <mutex>
#include <thread>
#include <vector>

#include <nmircu/nmi.hpp>
#include <nmircu/rcu.hpp>

#include "../support/in_child.hpp"

namespace {

using nmircu::rcu_default_domain;
using nmircu_test::in_child;

std::atomic<int> deleted{0};

struct object : nmircu::rcu_obj_base<object> {
    ~object() { deleted.fetch_add(1, std::memory_order_relaxed); }
};

TEST(retire_fork, the_child_reclaims_a_backlog_that_came_along) {
    deleted.store(0);
    std::unique_lock section(rcu_default_domain());
    for (int i = 0; i < 1000; ++i)
        (new object)->retire();
    EXPECT_EQ(in_child([&] {
                  if (nmircu::rcu_read_statistics().backlog != 1000) return 1;
                  section.unlock();
                  nmircu::rcu_barrier();
                  if (deleted.load() != 1000) return 2;
                  // Its own reclaimer starts with the next retirement.
                  (new object)->retire();
                  while (deleted.load() != 1001)
                      std::this_thread::yield();
                  return 0;
              }),
              0);
    section.unlock();
    nmircu::rcu_barrier();
    EXPECT_EQ(deleted.load(), 1000);
}

TEST(retire_fork, a_child_that_retires_once_reclaims_all) {
    deleted.store(0);
    std::unique_lock section(rcu_default_domain());
    for (int i = 0; i < 100; ++i)
        (new object)->retire();
    EXPECT_EQ(in_child([&] {
                  section.unlock();
                  (new object)->retire();
                  while (deleted.load() != 101)
                      std::this_thread::yield();
                  return 0;
              }),
              0);
    section.unlock();
    nmircu::rcu_barrier();
}

TEST(retire_fork, at_any_moment_of_a_reclaimer_at_work) {
    deleted.store(0);
    std::atomic<bool> stop{false};
    std::atomic<int> retired{0};
    std::vector<std::thread> retirers;
    for (int i = 0; i < 2; ++i) {
        retirers.emplace_back([&] {
            while (!stop.load(std::memory_order_relaxed)) {
                auto* const next = new object;
                next->retire();
                retired.fetch_add(1, std::memory_order_relaxed);
            }
        });
    }
    for (int round = 0; round < 200; ++round) {
        EXPECT_EQ(in_child([&] {
                      // Whoever was in the middle of retiring or counting is not here.
                      const int before = retired.load();
                      nmircu::rcu_barrier();
                      const auto seen = nmircu::rcu_read_statistics();
                      if (seen.backlog != 0 || seen.retired != seen.reclaimed) return 1;
                      const int after = deleted.load();
                      if (after < before || after > before + 2) return 2;
                      return seen.reclaimed >= std::uint64_t(before) ? 0 : 3;
                  }),
                  0);
    }
    stop.store(true);
    for (auto& retirer : retirers)
        retirer.join();
    nmircu::rcu_barrier();
    EXPECT_EQ(deleted.load(), retired.load());
}

TEST(retire_fork, while_a_deleter_waits_for_a_lock_the_forker_holds) {
    static std::mutex lock;
    static std::atomic<int> entered{0};
    std::unique_lock guard(lock);
    nmircu::rcu_retire(new int, [](int* pointer) {
        entered.store(1);
        std::scoped_lock wait(lock);
        delete pointer;
    });
    while (entered.load() == 0)
        std::this_thread::yield();
    // The deleter stays as it is in the child, and is not run again.
    EXPECT_EQ(in_child([] {
                  entered.store(0);
                  nmircu::rcu_barrier();
                  return entered.load();
              }),
              0);
    guard.unlock();
    nmircu::rcu_barrier();
}

TEST(retire_fork, in_a_deleter) {
    static std::atomic<int> status{-1};
    static std::atomic<int> others{0};
    nmircu::rcu_retire(new int, [](int* pointer) {
        delete pointer;
        // The child's only thread is inside a deleter: it may not wait, but it may retire and exit.
        status.store(in_child([] {
            (new object)->retire();
            nmircu::rcu_synchronize();
            return 0;
        }));
    });
    for (int i = 0; i < 10; ++i) {
        nmircu::rcu_retire(new int, [](int* pointer) {
            delete pointer;
            others.fetch_add(1);
        });
    }
    nmircu::rcu_barrier();
    EXPECT_EQ(status.load(), 0);
    EXPECT_EQ(others.load(), 10);
}

std::atomic<int> forked_in_handler{-1};

int fork_in_handler(void*, nmircu::pt_regs*, int) {
    (new object)->retire();
    const pid_t child = fork();
    if (child == 0) {
        // Still inside the handler's section: what can be done here is to go.
        _exit(nmircu::rcu_read_held() && nmircu::in_nmi() ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    forked_in_handler.store(WEXITSTATUS(status));
    return 1;
}

TEST(retire_fork, in_a_handler) {
    ASSERT_EQ(nmircu::nmi_attach(), 0);
    nmircu::nmi_handler handler;
    ASSERT_EQ(handler.add(nmircu::nmi_type::local, "forks", fork_in_handler, nullptr),
              nmircu::nmi_error::none);
    EXPECT_EQ(nmircu::nmi_raise_self(), 0);
    EXPECT_EQ(forked_in_handler.load(), 0);
    EXPECT_EQ(handler.remove(), nmircu::nmi_error::none);
    nmircu::rcu_barrier();
}

// The handler interrupts retire, the barrier and their fences; in the child, what it interrupted
// goes on as if nothing had happened. No memory is allocated meanwhile: fork in a handler that
// interrupted malloc would deadlock in libc.
std::atomic<pid_t> latest_child{-1};
nmircu::rcu_head heads[500];

void retire_all_heads_and_wait() {
    for (nmircu::rcu_head& head : heads) {
        nmircu::rcu_call(head, [](nmircu::rcu_head*) { deleted.fetch_add(1); });
        if (&head - heads == 250) nmircu::rcu_barrier();
    }
    nmircu::rcu_barrier();
}

TEST(retire_fork, in_a_handler_that_returns_in_the_child) {
    const pid_t self = getpid();
    struct sigaction action = {}, before;
    action.sa_handler = [](int) { latest_child.store(fork()); };
    ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
    std::atomic<bool> stop{false};
    std::thread sender([&, main = pthread_self()] {
        while (!stop.load()) {
            if (latest_child.load() == -1) {
                latest_child.store(-2);
                pthread_kill(main, SIGUSR1);
            }
            std::this_thread::yield();
        }
    });
    for (int children = 0; children < 100;) {
        const int earlier = deleted.load();
        retire_all_heads_and_wait();
        const bool all = deleted.load() == earlier + 500;
        if (getpid() != self) {
            alarm(20);
            retire_all_heads_and_wait();
            _exit(all && deleted.load() == earlier + 1000 ? 0 : 1);
        }
        EXPECT_TRUE(all);
        if (latest_child.load() <= 0) continue;
        ++children;
        int status = -1;
        EXPECT_EQ(waitpid(latest_child.load(), &status, 0), latest_child.load());
        ASSERT_EQ(status, 0);
        latest_child.store(-1);
    }
    stop.store(true);
    sender.join();
    if (latest_child.load() > 0) waitpid(latest_child.load(), nullptr, 0);
    sigaction(SIGUSR1, &before, nullptr);
}

}  // namespace
