// SPDX-License-Identifier: MIT
//
// Property: a cookie passes only after the sections that were open when it was taken, passes then
// if somebody runs a grace period, and stays passed.
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nmircu/nmi.hpp>
#include <nmircu/rcu.hpp>

#include "../support/in_child.hpp"

namespace {

using nmircu::rcu_cookie;
using nmircu::rcu_default_domain;

TEST(poll, a_cookie_never_assigned_has_passed) {
    EXPECT_TRUE(nmircu::rcu_poll_passed(rcu_cookie{}));
    std::scoped_lock section(rcu_default_domain());
    nmircu::rcu_poll_wait(rcu_cookie{});
}

TEST(poll, a_state_passes_with_somebody_elses_grace_period) {
    const rcu_cookie cookie = nmircu::rcu_poll_state();
    EXPECT_FALSE(nmircu::rcu_poll_passed(cookie));
    nmircu::rcu_synchronize();
    EXPECT_TRUE(nmircu::rcu_poll_passed(cookie));
    EXPECT_EQ(cookie, cookie);
    EXPECT_FALSE(nmircu::rcu_poll_passed(nmircu::rcu_poll_state()));
}

TEST(poll, waits_only_if_it_must) {
    const rcu_cookie cookie = nmircu::rcu_poll_state();
    nmircu::rcu_poll_wait(cookie);
    EXPECT_TRUE(nmircu::rcu_poll_passed(cookie));
    const auto before = nmircu::rcu_read_statistics().grace_periods;
    nmircu::rcu_poll_wait(cookie);
    EXPECT_EQ(nmircu::rcu_read_statistics().grace_periods, before);
}

TEST(poll, a_started_one_passes_by_itself) {
    for (int i = 0; i < 20; ++i) {
        const rcu_cookie cookie = nmircu::rcu_poll_start();
        while (!nmircu::rcu_poll_passed(cookie))
            std::this_thread::yield();
    }
}

TEST(poll, does_not_pass_while_a_section_is_open) {
    std::atomic<bool> inside{false}, leave{false}, leaving{false};
    std::thread reader([&] {
        std::scoped_lock section(rcu_default_domain());
        inside.store(true);
        while (!leave.load())
            std::this_thread::yield();
        leaving.store(true);
    });
    while (!inside.load())
        std::this_thread::yield();
    const rcu_cookie cookie = nmircu::rcu_poll_start();
    for (int i = 0; i < 1000; ++i) {
        ASSERT_FALSE(nmircu::rcu_poll_passed(cookie));
        std::this_thread::yield();
    }
    leave.store(true);
    while (!nmircu::rcu_poll_passed(cookie))
        std::this_thread::yield();
    EXPECT_TRUE(leaving.load());
    reader.join();
}

TEST(poll, objects_freed_by_polling_are_never_seen_dead) {
    struct object {
        std::atomic<int> alive{1};
    };
    nmircu::rcu_pointer<object> current(new object);
    std::atomic<bool> stop{false};
    std::atomic<int> dead{0};
    std::vector<std::thread> readers;
    for (int i = 0; i < 2; ++i) {
        readers.emplace_back([&] {
            while (!stop.load(std::memory_order_relaxed)) {
                std::scoped_lock section(rcu_default_domain());
                if (current.dereference()->alive.load(std::memory_order_relaxed) != 1) ++dead;
            }
        });
    }
    std::vector<std::pair<rcu_cookie, object*>> waiting;
    for (int i = 0; i < 5000; ++i) {
        object* const old = current.exchange(new object);
        waiting.emplace_back(nmircu::rcu_poll_start(), old);
        std::erase_if(waiting, [](auto& entry) {
            if (!nmircu::rcu_poll_passed(entry.first)) return false;
            entry.second->alive.store(0xdead, std::memory_order_relaxed);
            delete entry.second;
            return true;
        });
    }
    stop.store(true);
    for (auto& reader : readers)
        reader.join();
    for (auto& [cookie, object] : waiting) {
        nmircu::rcu_poll_wait(cookie);
        delete object;
    }
    delete current.get();
    EXPECT_EQ(dead.load(), 0);
}

std::atomic<bool> taken_in_handler{false};
rcu_cookie handlers_cookie;

int take_cookie(void*, nmircu::pt_regs*, int) {
    handlers_cookie = nmircu::rcu_poll_start();
    if (nmircu::rcu_poll_passed(handlers_cookie)) return 0;
    taken_in_handler.store(true);
    return 1;
}

TEST(poll, works_in_a_handler) {
    ASSERT_EQ(nmircu::nmi_attach(), 0);
    nmircu::nmi_handler handler;
    ASSERT_EQ(handler.add(nmircu::nmi_type::local, "polls", take_cookie, nullptr),
              nmircu::nmi_error::none);
    nmircu::nmi_raise_self();
    ASSERT_TRUE(taken_in_handler.load());
    while (!nmircu::rcu_poll_passed(handlers_cookie))
        std::this_thread::yield();
    EXPECT_EQ(handler.remove(), nmircu::nmi_error::none);
}

TEST(poll_misuse, waiting_inside_a_section_names_both_ends) {
    EXPECT_DEATH(
        {
            std::scoped_lock section(rcu_default_domain());
            nmircu::rcu_poll_wait(nmircu::rcu_poll_state());
        },
        "nmircu: rcu_poll_wait called at 0x[0-9a-f]+ inside a read-side critical section entered");
}

TEST(pointer, assigns_exchanges_and_compares) {
    int a = 1, b = 2;
    nmircu::rcu_pointer<int> pointer;
    EXPECT_EQ(pointer.get(), nullptr);
    pointer.assign(&a);
    std::scoped_lock section(rcu_default_domain());
    EXPECT_EQ(pointer.dereference(), &a);
    EXPECT_EQ(pointer.exchange(&b), &a);
    int* expected = &a;
    EXPECT_FALSE(pointer.compare_exchange(expected, nullptr));
    EXPECT_EQ(expected, &b);
    EXPECT_TRUE(pointer.compare_exchange(expected, nullptr));
    EXPECT_EQ(pointer.dereference(), nullptr);
}

// Copies the histogram; returns the sum of its counts, or 0 if it is not in order.
std::uint64_t sum_of_latencies() {
    nmircu::rcu_latency_bucket buckets[600];
    const unsigned count = nmircu::rcu_read_latencies(buckets, 600);
    if (count > 600 || nmircu::rcu_read_latencies(nullptr, 0) != count) return 0;
    std::uint64_t sum = 0;
    for (unsigned i = 0; i < count; ++i) {
        sum += buckets[i].count;
        if (i > 0 && buckets[i].from_ns < buckets[i - 1].from_ns) return 0;
    }
    return sum;
}

// Of grace periods with nobody to wait for, one in sixteen is timed and stands for all of them. In
// a child, where nobody else reads or reclaims, that is exact.
TEST(statistics, the_histogram_stands_for_every_idle_grace_period) {
    EXPECT_EQ(nmircu_test::in_child([] {
                  const auto start = nmircu::rcu_read_statistics().grace_periods;
                  const std::uint64_t before = sum_of_latencies();
                  for (int i = 0; i < 160; ++i)
                      nmircu::rcu_synchronize();
                  const std::uint64_t after = sum_of_latencies();
                  if (nmircu::rcu_read_statistics().grace_periods != start + 160) return 1;
                  return after - before == 160 ? 0 : 2;
              }),
              0);
}

}  // namespace
