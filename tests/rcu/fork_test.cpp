// SPDX-License-Identifier: MIT
//
// Property: a forked child owes nothing to readers and updaters that did not come along, and keeps
// what its own thread is inside of.
#include <signal.h>
#include <unistd.h>

#include <mutex>
#include <thread>

#include <gtest/gtest.h>
#include <nmircu/rcu.hpp>

#include "../support/in_child.hpp"

namespace {

using nmircu::rcu_default_domain;
using nmircu_test::in_child;

TEST(fork, with_another_thread_inside_a_section) {
    std::atomic<bool> inside{false}, leave{false};
    std::thread reader([&] {
        std::scoped_lock section(rcu_default_domain());
        inside.store(true);
        while (!leave.load())
            std::this_thread::yield();
    });
    while (!inside.load())
        std::this_thread::yield();
    EXPECT_EQ(in_child([] {
                  nmircu::rcu_synchronize();
                  return 0;
              }),
              0);
    leave.store(true);
    reader.join();
}

TEST(fork, while_another_thread_runs_a_grace_period) {
    std::atomic<bool> inside{false}, leave{false};
    std::thread reader([&] {
        std::scoped_lock section(rcu_default_domain());
        inside.store(true);
        while (!leave.load())
            std::this_thread::yield();
    });
    while (!inside.load())
        std::this_thread::yield();
    std::thread updater([] { nmircu::rcu_synchronize(); });
    while (nmircu::detail::default_domain.waiting.load() == 0)
        std::this_thread::yield();
    EXPECT_EQ(in_child([] {
                  nmircu::rcu_synchronize();
                  nmircu::rcu_synchronize();
                  return 0;
              }),
              0);
    leave.store(true);
    reader.join();
    updater.join();
}

TEST(fork, inside_a_section_the_child_is_still_inside) {
    auto& domain = rcu_default_domain();
    domain.lock();
    domain.lock();
    EXPECT_EQ(in_child([&] {
                  if (!nmircu::rcu_read_held()) return 1;
                  // A thread of the child waits for the section that came along.
                  std::atomic<bool> done{false};
                  std::thread updater([&] {
                      nmircu::rcu_synchronize();
                      done.store(true);
                  });
                  auto& waiting = nmircu::detail::default_domain.waiting;
                  while (waiting.load() == 0)
                      std::this_thread::yield();
                  if (done.load()) return 2;
                  domain.unlock();
                  domain.unlock();
                  updater.join();
                  return nmircu::rcu_read_held() ? 3 : 0;
              }),
              0);
    domain.unlock();
    domain.unlock();
    nmircu::rcu_synchronize();
}

TEST(fork, the_child_of_a_child) {
    EXPECT_EQ(in_child([] {
                  nmircu::rcu_synchronize();
                  return in_child([] {
                      { std::scoped_lock section(rcu_default_domain()); }
                      nmircu::rcu_synchronize();
                      return 0;
                  });
              }),
              0);
}

}  // namespace
