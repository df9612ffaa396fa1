// SPDX-License-Identifier: MIT
//
// Property: timers interrupt every thread that was found by a scan or reported its start, also one
// that lives for a moment only; threads that cannot be interrupted are listed with the reason; and
// nothing arrives once stopped.
#include "platform/linux/source_timer.hpp"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmath>
#include <csignal>
#include <cstdio>
#include <vector>

#include "hits.hpp"
#include "platform/linux/source_signals.hpp"

namespace {

using namespace test;
using ::testing::HasSubstr;

class source_timer : public counting {};

TEST_F(source_timer, reaches_threads_that_exist) {
    signpost go;
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i)
        threads.emplace_back([&] {
            go.wait();
            EXPECT_TRUE(burn_until_hit());
        });
    ASSERT_EQ("", start(source_kind::timer));
    EXPECT_GE(current_source().threads, 9u);
    go.set();
    EXPECT_TRUE(burn_until_hit());
    for (auto& thread : threads)
        thread.join();
    EXPECT_EQ(source_kind::timer, current_source().kind);
    EXPECT_EQ("", current_source().reason);
}

// As a raw clone would be: nobody reports it.
TEST_F(source_timer, reaches_an_unreported_thread_after_a_rescan) {
    ASSERT_EQ("", start(source_kind::timer));
    signpost ready;
    signpost go;
    std::thread other([&] {
        EXPECT_EQ(0u, hits_in_ms(20));
        ready.set();
        go.wait();
        EXPECT_TRUE(burn_until_hit());
    });
    ready.wait();
    rescan_threads();
    rescan_threads();
    go.set();
    other.join();
}

TEST_F(source_timer, reaches_a_thread_that_reports_its_start_at_once) {
    ASSERT_EQ("", start(source_kind::timer));
    for (int i = 0; i < 50; ++i)
        std::thread([] {
            thread_started();
            EXPECT_TRUE(burn_until_hit(1));
        }).join();
}

// Most of these live for less than a tick: as often, all of them together, as they run.
TEST_F(source_timer, counts_threads_that_live_for_moments_as_much_as_they_run) {
    if (nmircu::detail::under_thread_sanitizer) GTEST_SKIP() << "it delays signals";
    ASSERT_EQ("", start(source_kind::timer, 100));
    std::uint64_t ran_ns = 0, hits = 0;
    for (int i = 0; i < 3000; ++i) {
        std::thread([&] {
            thread_started();
            (void)burn_until([] { return cpu_ns() >= 500'000; });
            hits += hits_here.load(std::memory_order_relaxed);  // own thread
            ran_ns += cpu_ns();
        }).join();
    }
    const double expected = double(ran_ns) / 10e6;
    EXPECT_NEAR(double(hits), expected, 5 * std::sqrt(expected));
}

// Beyond the tick: by what each signal stands for.
TEST_F(source_timer, their_first_tick_stands_for_a_whole_one) {
    if (nmircu::detail::under_thread_sanitizer) GTEST_SKIP() << "it delays signals";
    ASSERT_EQ("", start(source_kind::timer, 4000));
    const std::uint64_t merged_before = timer_overruns();
    std::uint64_t ran_ns = 0;
    const std::uint64_t before = total();
    for (int i = 0; i < 1000; ++i) {
        std::thread([&] {
            thread_started();
            (void)burn_until([] { return cpu_ns() >= 1'000'000; });
            ran_ns += cpu_ns();
        }).join();
    }
    stop_source();
    const double weight = double(total() - before + timer_overruns() - merged_before);
    const double expected = double(ran_ns) / 250e3;
    // This thread's own time is in it, too, and a tick is 16 or so.
    EXPECT_GT(weight, 0.75 * expected);
    EXPECT_LT(weight, 1.75 * expected);
}

TEST_F(source_timer, leaves_the_excluded_thread_alone) {
    signpost go;
    signpost ready;
    int excluded = 0;
    std::thread other([&] {
        excluded = thread_id();
        ready.set();
        go.wait();
        thread_started();
        rescan_threads();
        EXPECT_EQ(0u, hits_in_ms(60));
    });
    ready.wait();
    ASSERT_EQ("", start(source_kind::timer, 10000, excluded));
    go.set();
    other.join();
    EXPECT_TRUE(burn_until_hit());
}

TEST_F(source_timer, nothing_arrives_after_stop) {
    constexpr int count = 4;
    signpost stopped;
    std::atomic<int> burning{0};
    std::vector<std::thread> threads;
    ASSERT_EQ("", start(source_kind::timer, 10000));
    for (int i = 0; i < count; ++i)
        threads.emplace_back([&] {
            thread_started();
            EXPECT_TRUE(burn_until_hit());
            burning.fetch_add(1, std::memory_order_relaxed);  // a count to wait for
            EXPECT_TRUE(burn_until([&] { return stopped.is_set(); }));
            ::syscall(SYS_gettid);  // whatever was on its way arrives here
            EXPECT_EQ(0u, hits_in_ms(50));
            thread_started();
            EXPECT_EQ(0u, hits_in_ms(20));
        });
    while (burning.load(std::memory_order_relaxed) < count)
        std::this_thread::yield();
    stop_source();
    stopped.set();
    for (auto& thread : threads)
        thread.join();
    EXPECT_FALSE(current_source().running);
}

TEST_F(source_timer, counts_the_expirations_between_two_ticks) {
    ASSERT_LT(tick_hz(), 20000u);
    ASSERT_GT(tick_hz(), 0u);
    ASSERT_EQ("", start(source_kind::timer, 20000));
    EXPECT_EQ(tick_hz(), current_source().limit_hz);
    EXPECT_TRUE(burn_until([] { return current_source().overruns > 0; }));
}

TEST_F(source_timer, lists_a_thread_that_blocks_the_signal) {
    signpost blocked;
    signpost end;
    int id = 0;
    std::thread other([&] {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, nullptr);
        id = thread_id();
        blocked.set();
        end.wait();
    });
    blocked.wait();
    ASSERT_EQ("", start(source_kind::timer));
    rescan_threads();
    const source_status status = current_source();
    end.set();
    other.join();
    EXPECT_EQ("blocks SIGSTKFLT", reason_for(status, id));
    EXPECT_EQ("", reason_for(status, thread_id()));
    rescan_threads();
    EXPECT_EQ("", reason_for(current_source(), id));
}

// Limits are per user, so these run as a user of their own where that is possible.
void become_somebody_else() {
    if (::getuid() != 0) return;
    const auto nobody_else = static_cast<uid_t>(1'000'000 + ::getpid());
    if (::setresuid(nobody_else, nobody_else, nobody_else) != 0) std::perror("setresuid");
}
bool limit_pending_signals(rlim_t limit) {
    const struct rlimit value { limit, limit };
    return ::setrlimit(RLIMIT_SIGPENDING, &value) == 0;
}
int failed(const char* what) {
    std::fprintf(stderr, "failed: %s\n", what);
    return 1;
}
#define REQUIRE(condition) \
    if (!(condition)) return failed(#condition)

TEST_F(source_timer, says_that_no_thread_can_be_armed) {
    const auto run = [] {
        become_somebody_else();
        REQUIRE(limit_pending_signals(0));
        const std::string failure = start(source_kind::timer);
        std::fprintf(stderr, "%s\n", failure.c_str());
        REQUIRE(!current_source().running);
        REQUIRE(!failure.empty());
        return 0;
    };
    EXPECT_EXIT(::_exit(run()), ::testing::ExitedWithCode(0), "ulimit -i");
}

TEST_F(source_timer, lists_threads_beyond_the_limit_and_arms_them_when_there_is_room) {
    const auto run = [] {
        become_somebody_else();
        REQUIRE(limit_pending_signals(1));
        REQUIRE(start(source_kind::timer).empty());
        signpost ready;
        signpost end;
        int id = 0;
        std::thread other([&] {
            id = thread_id();
            thread_started();
            ready.set();
            end.wait();
        });
        ready.wait();
        rescan_threads();
        const std::string reason = reason_for(current_source(), id);
        end.set();
        other.join();
        std::fprintf(stderr, "%s\n", reason.c_str());
        REQUIRE(burn_until_hit());
        REQUIRE(burn_until([id] {
            rescan_threads();
            return reason_for(current_source(), id).empty();
        }));
        return 0;
    };
    EXPECT_EXIT(::_exit(run()), ::testing::ExitedWithCode(0), "ulimit -i");
}

// Every timer holds one of the user's pending signals; /proc counts them.
int pending_signals_held() {
    int held = -1;
    char line[256];
    std::FILE* status = std::fopen("/proc/self/status", "re");
    while (std::fgets(line, sizeof line, status) != nullptr)
        if (std::sscanf(line, "SigQ: %d/", &held) == 1) break;
    std::fclose(status);
    return held;
}

TEST_F(source_timer, arms_a_thread_once_though_reported_and_found) {
    const auto run = [] {
        become_somebody_else();
        REQUIRE(start(source_kind::timer, 1).empty());
        int before = -1;
        int once = -1;
        int again = -1;
        std::thread([&] {
            before = pending_signals_held();
            thread_started();
            once = pending_signals_held();
            thread_started();
            rescan_threads();
            again = pending_signals_held();
        }).join();
        REQUIRE(once == before + 1);
        REQUIRE(again == once);
        stop_source();
        REQUIRE(pending_signals_held() < before);
        return 0;
    };
    EXPECT_EXIT(::_exit(run()), ::testing::ExitedWithCode(0), "");
}

// Timers of threads that have ended count until deleted; nobody rescans here.
TEST_F(source_timer, makes_room_by_forgetting_threads_that_have_ended) {
    const auto run = [] {
        become_somebody_else();
        REQUIRE(limit_pending_signals(4));
        REQUIRE(start(source_kind::timer).empty());
        for (int i = 0; i < 40; ++i) {
            bool hit = false;
            std::thread([&] {
                thread_started();
                hit = burn_until_hit(1);
            }).join();
            REQUIRE(hit);
        }
        return 0;
    };
    EXPECT_EXIT(::_exit(run()), ::testing::ExitedWithCode(0), "");
}

TEST_F(source_timer, a_forked_child_has_no_source) {
    ASSERT_EQ("", start(source_kind::timer));
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        const bool quiet = !current_source().running && hits_in_ms(30) == 0;
        thread_started();
        const bool works = start(source_kind::timer).empty() && burn_until_hit();
        ::_exit(quiet && works ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(child, ::waitpid(child, &status, 0));
    EXPECT_EQ(0, status);
    EXPECT_TRUE(burn_until_hit());
}

}  // namespace
