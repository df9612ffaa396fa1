// SPDX-License-Identifier: MIT
//
// Property: automatic takes perf where it may and is worth it, else timers, and says why; whatever
// goes wrong is one line that names the obstacle; and callers may come from any thread at once.
// Nothing here lets perf run: that is source_perf_test.cpp, which ThreadSanitizer does not survive.
#include "platform/linux/sources.hpp"

#include <seccomp.h>

#include <cerrno>
#include <cstdio>
#include <vector>

#include "hits.hpp"

namespace {

using namespace test;
using ::testing::ExitedWithCode;
using ::testing::HasSubstr;

class sources : public counting {};

bool refuse_system_call(int number, int error) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    return filter != nullptr &&
           seccomp_rule_add(filter, SCMP_ACT_ERRNO(static_cast<unsigned>(error)), number, 0) == 0 &&
           seccomp_load(filter) == 0;
}

// In a child: makes perf fail, starts the automatic source, prints the reason.
int fall_back() {
    const std::string failure = start_source({}, 0);
    const source_status status = current_source();
    std::fprintf(stderr, "%s%s\n", failure.c_str(), status.reason.c_str());
    const bool timer = status.running && status.kind == source_kind::timer;
    return timer && burn_until_hit() ? 0 : 1;
}

TEST_F(sources, automatic_falls_back_when_seccomp_refuses_perf) {
    for (const int error : {EPERM, EACCES, ENOSYS}) {
        const auto run = [error] {
            return refuse_system_call(SCMP_SYS(perf_event_open), error) ? fall_back() : 2;
        };
        EXPECT_EXIT(::_exit(run()), ExitedWithCode(0), "perf_event_open failed.*seccomp");
    }
}

TEST_F(sources, automatic_takes_timers_for_a_rate_that_the_tick_gives) {
    ASSERT_EQ("", start(source_kind::automatic, 100));
    EXPECT_EQ(source_kind::timer, current_source().kind);
    EXPECT_EQ("", current_source().reason);
    EXPECT_EQ(0u, current_source().limit_hz);
    EXPECT_TRUE(burn_until_hit());
}

TEST_F(sources, explicit_perf_does_not_fall_back) {
    const auto run = [] {
        if (!refuse_system_call(SCMP_SYS(perf_event_open), EPERM)) return 2;
        std::fprintf(stderr, "%s\n", start(source_kind::perf).c_str());
        return current_source().running ? 1 : 0;
    };
    EXPECT_EXIT(::_exit(run()), ExitedWithCode(0), "seccomp");
}

TEST_F(sources, says_both_reasons_when_nothing_works) {
    const auto run = [] {
        if (!refuse_system_call(SCMP_SYS(perf_event_open), EPERM)) return 2;
        if (!refuse_system_call(SCMP_SYS(timer_create), EPERM)) return 2;
        std::fprintf(stderr, "%s\n", start(source_kind::automatic).c_str());
        return current_source().running ? 1 : 0;
    };
    EXPECT_EXIT(::_exit(run()), ExitedWithCode(0), "seccomp.*; and cannot create a CPU timer");
}

TEST_F(sources, refuses_a_rate_out_of_range) {
    EXPECT_THAT(start(source_kind::automatic, 0), HasSubstr("1 to 20000"));
    EXPECT_THAT(start(source_kind::automatic, 20001), HasSubstr("1 to 20000"));
    EXPECT_FALSE(current_source().running);
}

TEST_F(sources, refuses_a_second_one) {
    ASSERT_EQ("", start(source_kind::timer));
    EXPECT_THAT(start(source_kind::timer), HasSubstr("already running"));
    EXPECT_TRUE(current_source().running);
}

TEST_F(sources, does_nothing_when_nothing_runs) {
    stop_source();
    rescan_threads();
    thread_started();
    EXPECT_FALSE(current_source().running);
    EXPECT_EQ(0u, hits_in_ms(20));
}

// Start, stop, scan, report and thread starts from several threads; each holds the lock with its
// signals blocked, so none is interrupted while it holds it.
TEST_F(sources, may_be_used_by_many_threads_at_once) {
    signpost end;
    std::vector<std::thread> threads;
    threads.emplace_back([&] {
        while (!end.is_set())
            rescan_threads();
    });
    threads.emplace_back([&] {
        while (!end.is_set())
            (void)current_source();
    });
    threads.emplace_back([&] {
        while (!end.is_set())
            std::thread(thread_started).join();
    });
    for (int round = 0; round < 40; ++round) {
        ASSERT_EQ("", start(source_kind::timer, 10000));
        EXPECT_TRUE(burn_until_hit(1));
        stop_source();
    }
    end.set();
    for (auto& thread : threads)
        thread.join();
}

}  // namespace
