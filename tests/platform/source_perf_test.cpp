// SPDX-License-Identifier: MIT
//
// Property: perf interrupts every thread, whenever and by whomever it was created, exactly once per
// period; not the excluded thread; and nobody any more once stopped, whoever still holds the
// descriptors.
#include "platform/linux/source_perf.hpp"

#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <vector>

#include "hits.hpp"
#include "platform/linux/signal_tag.hpp"

namespace {

using namespace test;

class source_perf : public counting {
  protected:
    // Some machines (Debian's default, most containers) forbid perf; there is nothing to test
    // there.
    void SetUp() override {
        const std::string failure = start(source_kind::perf);
        stop_source();
        if (!failure.empty()) GTEST_SKIP() << failure;
    }
};

TEST_F(source_perf, reaches_threads_that_exist) {
    signpost go;
    std::atomic<int> reached{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i)
        threads.emplace_back([&] {
            go.wait();
            reached.fetch_add(burn_until_hit(), std::memory_order_relaxed);  // joined
        });
    ASSERT_EQ("", start(source_kind::perf));
    go.set();
    EXPECT_TRUE(burn_until_hit());
    for (auto& thread : threads)
        thread.join();
    EXPECT_EQ(8, reached.load(std::memory_order_relaxed));
    EXPECT_EQ(source_kind::perf, current_source().kind);
}

TEST_F(source_perf, reaches_threads_created_later_and_short_lived_ones) {
    ASSERT_EQ("", start(source_kind::perf));
    for (int i = 0; i < 50; ++i)
        std::thread([] { EXPECT_TRUE(burn_until_hit(1)); }).join();
}

// The event belongs to the root thread; its copies must outlive it.
TEST_F(source_perf, reaches_the_grandchildren_of_threads_that_have_ended) {
    signpost go;
    std::thread grandchild;
    std::thread root([&] {
        go.wait();
        std::thread([&] {
            grandchild = std::thread([] { EXPECT_TRUE(burn_until_hit()); });
        }).join();
    });
    ASSERT_EQ("", start(source_kind::perf));
    go.set();
    root.join();
    rescan_threads();
    grandchild.join();
    std::thread([] { EXPECT_TRUE(burn_until_hit()); }).join();
}

TEST_F(source_perf, leaves_the_excluded_thread_alone) {
    signpost go;
    signpost ready;
    int excluded = 0;
    std::uint64_t hits = 0;
    std::thread other([&] {
        excluded = thread_id();
        ready.set();
        go.wait();
        hits = hits_in_ms(50);
    });
    ready.wait();
    ASSERT_EQ("", start(source_kind::perf, 10000, excluded));
    go.set();
    other.join();
    EXPECT_TRUE(burn_until_hit());
    EXPECT_EQ(0u, hits);
}

TEST_F(source_perf, nothing_arrives_after_stop) {
    constexpr int count = 4;
    signpost stopped;
    std::atomic<int> burning{0};
    std::atomic<std::uint64_t> late{0};
    std::vector<std::thread> threads;
    ASSERT_EQ("", start(source_kind::perf, 10000));
    for (int i = 0; i < count; ++i)
        threads.emplace_back([&] {
            EXPECT_TRUE(burn_until_hit());
            burning.fetch_add(1, std::memory_order_relaxed);  // a count to wait for
            EXPECT_TRUE(burn_until([&] { return stopped.is_set(); }));
            ::syscall(SYS_gettid);  // whatever was on its way arrives here
            late.fetch_add(hits_in_ms(50), std::memory_order_relaxed);  // joined
        });
    while (burning.load(std::memory_order_relaxed) < count)
        std::this_thread::yield();
    stop_source();
    stop_source();
    stopped.set();
    for (auto& thread : threads)
        thread.join();
    EXPECT_EQ(0u, late.load(std::memory_order_relaxed));
    EXPECT_FALSE(current_source().running);
}

TEST_F(source_perf, starts_again_after_stop) {
    for (int round = 0; round < 20; ++round) {
        ASSERT_EQ("", start(source_kind::perf));
        EXPECT_TRUE(burn_until_hit(1));
        stop_source();
    }
}

int open_own_event(std::uint32_t tag_thread) {
    perf_event_attr attr;
    std::memset(&attr, 0, sizeof attr);
    attr.size = sizeof attr;
    attr.type = PERF_TYPE_SOFTWARE;
    attr.config = PERF_COUNT_SW_TASK_CLOCK;
    attr.sample_period = 1'000'000;
    attr.exclude_kernel = 1;
    attr.exclude_hv = 1;
    attr.remove_on_exec = 1;
    attr.sigtrap = 1;
    attr.sig_data = signal_tag(tag_thread);
    return static_cast<int>(::syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

TEST_F(source_perf, dispatches_one_of_two_events_on_a_thread) {
    ASSERT_EQ("", start(source_kind::perf));
    ASSERT_TRUE(burn_until_hit());  // the thread has chosen
    const int second = open_own_event(1);
    ASSERT_GE(second, 0) << std::strerror(errno);
    EXPECT_TRUE(burn_until([] { return current_source().duplicates >= 5; }));
    // The innocent event survives however often the conflict is looked at.
    for (int i = 0; i < 3; ++i) {
        rescan_threads();
        const std::uint64_t before = current_source().duplicates;
        EXPECT_TRUE(burn_until([&] { return current_source().duplicates > before; }));
        EXPECT_TRUE(burn_until_hit());
    }
    ::close(second);
}

// A signal left over from an earlier source may make a thread choose another thread's tag.
TEST_F(source_perf, keeps_innocent_events_when_a_stale_tag_confuses_a_thread) {
    signpost go;
    signpost ready;
    int id = 0;
    std::thread other([&] {
        id = thread_id();
        ready.set();
        go.wait();
        EXPECT_TRUE(burn_until_hit());
    });
    ready.wait();
    ASSERT_EQ("", start(source_kind::perf));
    const auto mine = static_cast<std::uint32_t>(thread_id());
    const auto others = static_cast<std::uint32_t>(id);
    for (int i = 0; i < 4; ++i) {
        (void)accept_perf_tag(signal_tag(mine));
        (void)accept_perf_tag(signal_tag(others));
        rescan_threads();
    }
    go.set();
    other.join();
    EXPECT_TRUE(burn_until_hit());
}

// Threads that create threads while the source starts; source_perf_race_test.cpp takes the race
// apart.
TEST_F(source_perf, reaches_threads_created_while_it_starts) {
    constexpr int spawners = 3;
    constexpr int kept = 15;
    for (int round = 0; round < 5; ++round) {
        signpost started;
        std::vector<std::thread> roots;
        for (int i = 0; i < spawners; ++i)
            roots.emplace_back([&] {
                std::vector<std::thread> children;
                while (!started.is_set() || children.size() < kept) {
                    std::thread child([&] {
                        started.wait();
                        EXPECT_TRUE(burn_until_hit(1));
                    });
                    children.push_back(std::move(child));
                    if (children.size() >= kept) started.wait();
                }
                for (auto& child : children)
                    child.join();
            });
        const std::string failure = start(source_kind::perf, 10000);
        started.set();
        for (auto& root : roots)
            root.join();
        ASSERT_EQ("", failure);
        stop_source();
    }
}

TEST_F(source_perf, comes_back_when_the_program_closes_its_descriptors) {
    ASSERT_EQ("", start(source_kind::perf));
    ASSERT_EQ(0, ::syscall(SYS_close_range, 3u, ~0u, 0u));
    rescan_threads();
    EXPECT_TRUE(burn_until_hit());
    EXPECT_EQ("", current_source().reason);
}

TEST_F(source_perf, does_not_close_a_descriptor_that_is_no_longer_its_own) {
    ASSERT_EQ("", start(source_kind::perf));
    // Every number from 3 up to beyond ours becomes the program's.
    ASSERT_EQ(0, ::syscall(SYS_close_range, 3u, ~0u, 0u));
    std::vector<int> ours;
    while (ours.empty() || ours.back() < 1100) {
        const int fd = ::open("/dev/null", O_RDONLY);
        if (fd < 0) break;
        ours.push_back(fd);
    }
    stop_source();
    for (const int fd : ours)
        EXPECT_EQ(0, ::close(fd)) << fd;
}

TEST_F(source_perf, a_forked_child_has_no_source_and_does_not_stop_its_parents) {
    ASSERT_EQ("", start(source_kind::perf));
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        const bool quiet = !current_source().running && hits_in_ms(30) == 0;
        stop_source();
        const bool works = start(source_kind::perf).empty() && burn_until_hit();
        ::_exit(quiet && works ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(child, ::waitpid(child, &status, 0));
    EXPECT_EQ(0, status);
    EXPECT_TRUE(burn_until_hit());
}

// A child that skips the fork handlers keeps the events' descriptors open.
TEST_F(source_perf, stops_although_a_child_holds_the_descriptors) {
    ASSERT_EQ("", start(source_kind::perf, 10000));
    int wait_for_me[2];
    ASSERT_EQ(0, ::pipe(wait_for_me));
    const pid_t child = ::_Fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        ::close(wait_for_me[1]);
        char byte;
        (void)!::read(wait_for_me[0], &byte, 1);
        ::_exit(0);
    }
    EXPECT_TRUE(burn_until_hit());
    stop_source();
    ::syscall(SYS_gettid);
    EXPECT_EQ(0u, hits_in_ms(50));
    std::thread([] { EXPECT_EQ(0u, hits_in_ms(50)); }).join();
    ::close(wait_for_me[1]);
    ::waitpid(child, nullptr, 0);
}

TEST_F(source_perf, a_child_that_skips_the_fork_handlers_cannot_stop_its_parents) {
    ASSERT_EQ("", start(source_kind::perf));
    const pid_t child = ::_Fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        stop_source();
        ::_exit(current_source().running ? 1 : 0);
    }
    int status = -1;
    ASSERT_EQ(child, ::waitpid(child, &status, 0));
    EXPECT_EQ(0, status);
    EXPECT_TRUE(current_source().running);
    EXPECT_TRUE(burn_until_hit());
}

TEST_F(source_perf, is_what_automatic_takes) {
    ASSERT_EQ("", start(source_kind::automatic));
    const source_status status = current_source();
    EXPECT_EQ(source_kind::perf, status.kind);
    EXPECT_EQ("", status.reason);
    EXPECT_TRUE(burn_until_hit());
}

TEST_F(source_perf, gives_way_to_timers_where_threads_run_for_moments_only) {
    for (const source_kind kind : {source_kind::perf, source_kind::automatic}) {
        ASSERT_EQ("", start(kind));
        const auto cpu_ms = [] { return std::clock() * 1000 / CLOCKS_PER_SEC; };
        for (const auto end = cpu_ms() + 400; cpu_ms() < end;) {
            const timespec moment{0, 1000};
            ::nanosleep(&moment, nullptr);
            rescan_threads();
        }
        const source_status status = current_source();
        if (kind == source_kind::perf) {
            EXPECT_EQ(source_kind::perf, status.kind);  // as asked for
        } else {
            EXPECT_EQ(source_kind::timer, status.kind);
            EXPECT_THAT(status.reason, ::testing::HasSubstr("times per second of CPU time"));
            EXPECT_TRUE(burn_until_hit());
        }
        stop_source();
    }
}

TEST_F(source_perf, gives_way_to_timers_when_descriptors_run_out) {
    const auto run = [] {
        // Room for the listing of threads, but not for one descriptor a thread.
        signpost end;
        std::vector<std::thread> threads;
        for (int i = 0; i < 40; ++i)
            threads.emplace_back([&] { end.wait(); });
        const struct rlimit few { 32, 32 };
        ::setrlimit(RLIMIT_NOFILE, &few);
        const std::string failure = start(source_kind::automatic);
        const source_status status = current_source();
        std::fprintf(stderr, "%s%s\n", failure.c_str(), status.reason.c_str());
        end.set();
        for (auto& thread : threads)
            thread.join();
        return status.kind == source_kind::timer && burn_until_hit() ? 0 : 1;
    };
    EXPECT_EXIT(::_exit(run()), ::testing::ExitedWithCode(0), "perf_event_open failed.*ulimit -n");
}

TEST_F(source_perf, may_be_used_by_many_threads_at_once) {
    signpost end;
    std::thread scanner([&] {
        while (!end.is_set())
            rescan_threads();
    });
    std::thread starter([&] {
        while (!end.is_set())
            std::thread(thread_started).join();
    });
    for (int round = 0; round < 40; ++round) {
        ASSERT_EQ("", start(source_kind::perf, 10000));
        EXPECT_TRUE(burn_until_hit(1));
        stop_source();
    }
    end.set();
    scanner.join();
    starter.join();
}

TEST_F(source_perf, lists_a_thread_that_blocks_the_signal) {
    signpost blocked;
    signpost end;
    int id = 0;
    std::thread other([&] {
        sigset_t trap;
        sigemptyset(&trap);
        sigaddset(&trap, SIGTRAP);
        pthread_sigmask(SIG_BLOCK, &trap, nullptr);
        id = thread_id();
        blocked.set();
        end.wait();
        EXPECT_EQ(0u, hits_in_ms(20));
        pthread_sigmask(SIG_UNBLOCK, &trap, nullptr);
        EXPECT_TRUE(burn_until_hit());
    });
    blocked.wait();
    ASSERT_EQ("", start(source_kind::perf));
    rescan_threads();
    const source_status status = current_source();
    end.set();
    other.join();
    EXPECT_EQ("blocks SIGTRAP", reason_for(status, id));
}

TEST(source_perf_messages, say_what_to_set) {
    EXPECT_THAT(describe_perf_failure(EACCES, 3),
                ::testing::HasSubstr("sysctl kernel.perf_event_paranoid=2"));
    EXPECT_THAT(describe_perf_failure(EACCES, 2), ::testing::HasSubstr("seccomp"));
    EXPECT_THAT(describe_perf_failure(EPERM, -100), ::testing::HasSubstr("seccomp"));
    EXPECT_THAT(describe_perf_failure(ENOSYS, 2), ::testing::HasSubstr("built without"));
    EXPECT_THAT(describe_perf_failure(EMFILE, 2), ::testing::HasSubstr("ulimit -n"));
    for (const int error : {EACCES, ENOSYS, ENOENT, EMFILE, EINVAL, ENOMEM})
        EXPECT_EQ(std::string::npos, describe_perf_failure(error, 3).find('\n'));
}

TEST(source_perf_messages, refuse_kernels_where_a_blocked_sigtrap_kills) {
    EXPECT_NE("", perf_kernel_objection("5.10.0-32-amd64"));
    EXPECT_NE("", perf_kernel_objection("5.17.15"));
    EXPECT_NE("", perf_kernel_objection("4.19.0"));
    EXPECT_EQ("", perf_kernel_objection("5.18.0"));
    EXPECT_EQ("", perf_kernel_objection("6.1.0-26-amd64"));
}

}  // namespace
