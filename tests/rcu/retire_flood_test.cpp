// SPDX-License-Identifier: MIT
//
// Property: memory is bounded while threads retire as fast as they can: by the limit and the
// documented rate beyond it, with a reader parked for a second, and with brief readers.
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nmircu/rcu.hpp>

#include "../support/in_child.hpp"

namespace {

using clock_type = std::chrono::steady_clock;
using nmircu::rcu_default_domain;

struct object : nmircu::rcu_obj_base<object> {
    long contents[4] = {};
};

constexpr std::uint64_t limit = 10'000;
constexpr unsigned retirers = 4;

// rcu_retire.hpp, "Memory": 64 a CPU by which the crowd is noticed late (here: on up to 16 CPUs),
// and 100 per thread and second.
std::uint64_t documented_bound(double seconds) {
    const unsigned cpus = std::thread::hardware_concurrency();
    return limit + 64 * (cpus + 1) + retirers + std::uint64_t(100 * retirers * (seconds + 0.1));
}

struct outcome {
    std::uint64_t retired, peak;
    double seconds;
};

template <class Reader>
outcome flood_for_a_second(Reader reader) {
    nmircu::rcu_barrier();
    nmircu::rcu_set_backlog_limit(limit);
    std::atomic<bool> stop{false}, reading{false};
    std::thread reading_thread([&] { reader(stop, reading); });
    while (!reading.load())
        std::this_thread::yield();
    const auto start = clock_type::now();
    const auto before = nmircu::rcu_read_statistics();
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < retirers; ++i) {
        threads.emplace_back([&] {
            while (!stop.load(std::memory_order_relaxed))
                (new object)->retire();
        });
    }
    std::uint64_t peak = 0;
    while (clock_type::now() - start < std::chrono::seconds(1)) {
        peak = std::max(peak, nmircu::rcu_read_statistics().backlog);
        std::this_thread::yield();
    }
    stop.store(true);
    for (auto& thread : threads)
        thread.join();
    peak = std::max(peak, nmircu::rcu_read_statistics().backlog);
    const double seconds = std::chrono::duration<double>(clock_type::now() - start).count();
    reading_thread.join();
    nmircu::rcu_barrier();
    const auto after = nmircu::rcu_read_statistics();
    EXPECT_EQ(after.backlog, 0u);
    std::printf("%.1f M objects retired in %.2f s, at most %lu waited (limit %lu, bound %lu)\n",
                double(after.retired - before.retired) / 1e6, seconds,
                static_cast<unsigned long>(peak), static_cast<unsigned long>(limit),
                static_cast<unsigned long>(documented_bound(seconds)));
    return {after.retired - before.retired, peak, seconds};
}

TEST(retire_flood, with_a_reader_parked_for_a_second) {
    const outcome seen =
        flood_for_a_second([](std::atomic<bool>& stop, std::atomic<bool>& reading) {
            std::scoped_lock section(rcu_default_domain());
            reading.store(true);
            while (!stop.load(std::memory_order_relaxed))
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
        });
    EXPECT_GE(seen.peak, limit);
    EXPECT_LE(seen.peak, documented_bound(seen.seconds));
}

TEST(retire_flood, with_brief_readers) {
    const outcome seen =
        flood_for_a_second([](std::atomic<bool>& stop, std::atomic<bool>& reading) {
            while (!stop.load(std::memory_order_relaxed)) {
                std::scoped_lock section(rcu_default_domain());
                reading.store(true, std::memory_order_relaxed);
            }
        });
    EXPECT_GT(seen.retired, limit);
    EXPECT_LE(seen.peak, documented_bound(seen.seconds));
}

// The reclaimer falls asleep while the thread that creates it is still waiting for a CPU.
TEST(retire_flood, of_programs_that_have_just_begun_on_a_busy_machine) {
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "its allocator's locks do not survive a fork beside other threads";
#endif
    const unsigned busy = 2 * std::thread::hardware_concurrency();
    std::atomic<bool> over{false};
    std::atomic<unsigned> begun{0};
    std::vector<std::thread> others;
    for (unsigned i = 0; i < busy; ++i) {
        others.emplace_back([&] {
            begun.fetch_add(1);
            while (!over.load(std::memory_order_relaxed)) {
            }
        });
    }
    // In its beginning a thread may hold what a sanitizer does not give back to a fork's child.
    while (begun.load() != busy)
        std::this_thread::yield();
    std::uint64_t worst = 0;
    for (int program = 0; program < 30; ++program) {
        const int thousands = nmircu_test::in_child([] {
            nmircu::rcu_set_backlog_limit(limit);
            std::atomic<bool> stop{false};
            std::vector<std::thread> threads;
            for (unsigned i = 0; i < retirers; ++i) {
                threads.emplace_back([&] {
                    while (!stop.load(std::memory_order_relaxed))
                        (new object)->retire();
                });
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
            stop.store(true);
            for (auto& thread : threads)
                thread.join();
            return static_cast<int>(nmircu::rcu_read_statistics().backlog_peak / 1000);
        });
        worst = std::max(worst, std::uint64_t(thousands));
    }
    over.store(true);
    for (auto& other : others)
        other.join();
    // How close the bound is kept the floods above say; without one it is twenty times the limit.
    EXPECT_GT(worst, 0u);
    EXPECT_LE(worst, 5 * limit / 1000) << "142: a child hung";
}

TEST(retire_flood, a_section_is_never_held_up) {
    nmircu::rcu_barrier();
    nmircu::rcu_set_backlog_limit(100);
    {
        std::scoped_lock section(rcu_default_domain());
        // Would last over a minute if each were held up.
        for (int i = 0; i < 10'000; ++i)
            (new object)->retire();
        EXPECT_EQ(nmircu::rcu_read_statistics().backlog, 10'000u);
    }
    nmircu::rcu_barrier();
    nmircu::rcu_set_backlog_limit(65'536);
}

}  // namespace
