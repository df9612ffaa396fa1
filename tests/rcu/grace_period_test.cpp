// SPDX-License-Identifier: MIT
//
// Property: rcu_synchronize returns only after every section entered before it has been left, and
// does return then; whatever the nesting, the CPU, or the context of the section.
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nmircu/rcu.hpp>

#include "rcu/engine.hpp"

namespace {

using nmircu::rcu_default_domain;

// Whether every section ever entered has been left.
bool balanced() {
    auto& domain = nmircu::detail::default_domain;
    std::uint64_t enters = 0, exits = 0;
    const auto add = [&](const nmircu::detail::reader_slot& slot) {
        for (int phase : {0, 1}) {
            enters += slot.enter[phase].load(std::memory_order_relaxed);
            exits += slot.exit[phase].load(std::memory_order_relaxed);
        }
    };
    add(domain.shared);
    for (const auto& slot : domain.cpu)
        add(slot);
    return enters == exits;
}

// A reader that stays inside a section until it is told to leave.
class parked_reader {
  public:
    parked_reader() {
        thread_ = std::thread([this] {
            std::scoped_lock section(rcu_default_domain());
            inside_.store(true, std::memory_order_release);
            while (!leave_.load(std::memory_order_acquire))
                std::this_thread::yield();
            about_to_leave_.store(true, std::memory_order_release);
        });
        while (!inside_.load(std::memory_order_acquire))
            std::this_thread::yield();
    }
    ~parked_reader() {
        leave();
        thread_.join();
    }
    void leave() { leave_.store(true, std::memory_order_release); }
    bool left_or_leaving() const { return about_to_leave_.load(std::memory_order_acquire); }

  private:
    std::atomic<bool> inside_{false}, leave_{false}, about_to_leave_{false};
    std::thread thread_;
};

TEST(grace_period, returns_when_nobody_reads) {
    const auto before = nmircu::rcu_read_statistics().grace_periods;
    for (int i = 0; i < 100; ++i)
        nmircu::rcu_synchronize();
    EXPECT_EQ(nmircu::rcu_read_statistics().grace_periods, before + 100);
}

TEST(grace_period, waits_for_a_reader_that_was_inside) {
    for (int round = 0; round < 50; ++round) {
        parked_reader reader;
        std::thread updater([&] {
            nmircu::rcu_synchronize();
            EXPECT_TRUE(reader.left_or_leaving());
        });
        // Gives a broken updater the chance to return too early.
        for (int i = 0; i < round; ++i)
            std::this_thread::yield();
        reader.leave();
        updater.join();
    }
}

TEST(grace_period, sleeps_for_a_long_reader_and_is_woken) {
    parked_reader reader;
    std::atomic<bool> done{false};
    std::thread updater([&] {
        nmircu::rcu_synchronize();
        done.store(true, std::memory_order_release);
    });
    auto& waiting = nmircu::detail::default_domain.waiting;
    while (waiting.load(std::memory_order_acquire) == 0)
        std::this_thread::yield();
    EXPECT_FALSE(done.load(std::memory_order_acquire));
    reader.leave();
    updater.join();
    EXPECT_TRUE(reader.left_or_leaving());
}

TEST(grace_period, does_not_wait_for_readers_that_come_later) {
    // A stream of overlapping readers: there is never a moment without one.
    std::atomic<bool> stop{false};
    std::vector<std::thread> readers;
    std::atomic<int> inside{0};
    for (int i = 0; i < 2; ++i) {
        readers.emplace_back([&] {
            while (!stop.load(std::memory_order_relaxed)) {
                std::scoped_lock section(rcu_default_domain());
                inside.fetch_add(1, std::memory_order_acq_rel);
                for (int spin = 0; spin < 1000; ++spin) {
                    if (inside.load(std::memory_order_acquire) > 1) break;
                }
                inside.fetch_sub(1, std::memory_order_acq_rel);
            }
        });
    }
    for (int i = 0; i < 50; ++i)
        nmircu::rcu_synchronize();
    stop.store(true, std::memory_order_relaxed);
    for (auto& reader : readers)
        reader.join();
    EXPECT_TRUE(balanced());
}

TEST(grace_period, a_nested_section_ends_with_the_outermost) {
    auto& domain = rcu_default_domain();
    EXPECT_FALSE(nmircu::rcu_read_held());
    domain.lock();
    domain.lock();
    EXPECT_TRUE(domain.try_lock());
    domain.unlock();
    domain.unlock();
    EXPECT_TRUE(nmircu::rcu_read_held());
    EXPECT_FALSE(balanced());
    domain.unlock();
    EXPECT_FALSE(nmircu::rcu_read_held());
    EXPECT_TRUE(balanced());
}

TEST(grace_period, a_section_may_end_on_another_cpu) {
    cpu_set_t allowed;
    ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
    std::vector<int> cpus;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(cpu, &allowed)) cpus.push_back(cpu);
    }
    if (cpus.size() < 2) GTEST_SKIP() << "one CPU";
    for (int round = 0; round < 200; ++round) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpus[unsigned(round) % cpus.size()], &one);
        ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
        rcu_default_domain().lock();
        CPU_ZERO(&one);
        CPU_SET(cpus[unsigned(round + 1) % cpus.size()], &one);
        ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
        rcu_default_domain().unlock();
        nmircu::rcu_synchronize();
    }
    sched_setaffinity(0, sizeof(allowed), &allowed);
    EXPECT_TRUE(balanced());
}

// The published object of the next test; poisoned before it is freed.
struct object {
    std::atomic<int> alive{1};
};
std::atomic<object*> current{nullptr};
std::atomic<long> handler_reads{0}, dead_reads{0};

void read_in_handler(int) {
    std::scoped_lock section(rcu_default_domain());
    const object* const seen = nmircu::rcu_dereference(current);
    if (seen->alive.load(std::memory_order_relaxed) != 1) dead_reads.fetch_add(1);
    handler_reads.fetch_add(1);
}

TEST(grace_period, readers_in_signal_handlers_never_see_a_dead_object) {
    current.store(new object);
    struct sigaction action = {}, before;
    action.sa_handler = read_in_handler;
    ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
    std::atomic<bool> stop{false};
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; ++i) {
        // Sections in the thread too, so that the signal lands inside enter and exit.
        readers.emplace_back([&] {
            while (!stop.load(std::memory_order_relaxed)) {
                std::scoped_lock section(rcu_default_domain());
                if (nmircu::rcu_dereference(current)->alive.load() != 1) dead_reads.fetch_add(1);
            }
        });
    }
    for (int i = 0; i < 3000; ++i) {
        for (auto& reader : readers)
            pthread_kill(reader.native_handle(), SIGUSR1);
        auto* const old = current.load(std::memory_order_relaxed);
        nmircu::rcu_assign_pointer(current, new object);
        nmircu::rcu_synchronize();
        old->alive.store(0, std::memory_order_relaxed);
        delete old;
    }
    stop.store(true, std::memory_order_relaxed);
    for (auto& reader : readers)
        reader.join();
    sigaction(SIGUSR1, &before, nullptr);
    delete current.load();
    EXPECT_EQ(dead_reads.load(), 0);
    EXPECT_GT(handler_reads.load(), 0);
    EXPECT_TRUE(balanced());
}

TEST(grace_period, concurrent_updaters_share_grace_periods) {
    const auto before = nmircu::rcu_read_statistics();
    std::vector<std::thread> updaters;
    for (int i = 0; i < 4; ++i) {
        updaters.emplace_back([] {
            for (int call = 0; call < 500; ++call)
                nmircu::rcu_synchronize();
        });
    }
    for (auto& updater : updaters)
        updater.join();
    const auto after = nmircu::rcu_read_statistics();
    EXPECT_EQ(after.grace_periods - before.grace_periods + after.shared - before.shared, 2000u);
}

TEST(grace_period_misuse, synchronize_inside_a_section_names_both_ends) {
    EXPECT_DEATH(
        {
            rcu_default_domain().lock();
            nmircu::rcu_synchronize();
        },
        "nmircu: rcu_synchronize called at 0x[0-9a-f]+ inside a read-side critical section "
        "entered at 0x[0-9a-f]+; it would wait for itself");
}

TEST(grace_period, thousands_of_threads_that_die_at_once_leave_nothing_behind) {
    for (int round = 0; round < 50; ++round) {
        std::vector<std::thread> threads;
        for (int i = 0; i < 40; ++i) {
            threads.emplace_back([] { std::scoped_lock section(rcu_default_domain()); });
        }
        nmircu::rcu_synchronize();
        for (auto& thread : threads)
            thread.join();
    }
    EXPECT_TRUE(balanced());
}

// Before main: this constructor runs earlier than the library's own.
std::atomic<bool> used_before_main{false};
[[gnu::constructor(101)]] void use_before_main() {
    std::scoped_lock section(rcu_default_domain());
    used_before_main.store(nmircu::rcu_read_held(), std::memory_order_relaxed);
}
[[gnu::constructor(101)]] void synchronize_before_main() {
    nmircu::rcu_synchronize();
}

TEST(grace_period, works_before_main) {
    EXPECT_TRUE(used_before_main.load());
}

// After static destruction: a destructor of the lowest priority reads and synchronises.
[[gnu::destructor(101)]] void use_after_everything() {
    { std::scoped_lock section(rcu_default_domain()); }
    nmircu::rcu_synchronize();
}

}  // namespace
