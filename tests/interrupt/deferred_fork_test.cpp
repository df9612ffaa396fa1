// SPDX-License-Identifier: MIT
//
// Property: a fork leaves both processes a whole queue, wherever the thread that runs items was.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>

#include <gtest/gtest.h>
#include <nmircu/deferred.hpp>

namespace {

using nmircu::deferred_function;

// The body's result; what alarm ends is a hang.
template <class Body>
int in_child(Body body) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);
        _exit(body());
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(deferred_fork, what_is_queued_runs_in_both) {
    ASSERT_TRUE(nmircu::deferred_start());
    std::atomic<long> busy_runs{0}, once_runs{0};
    std::atomic<bool> stop{false};
    std::atomic<deferred_function<std::function<void()>>*> self{nullptr};
    // Keeps the thread in and out of the queue, so that forks meet it everywhere.
    deferred_function<std::function<void()>> busy([&] {
        busy_runs.fetch_add(1);
        if (!stop.load()) self.load()->queue();
    });
    self.store(&busy);
    deferred_function once([&] { once_runs.fetch_add(1); });
    busy.queue();
    for (int round = 0; round < 300; ++round) {
        const long before = once_runs.load();
        once.queue();
        EXPECT_EQ(in_child([&] {
                      nmircu::deferred_flush_all();
                      if (once_runs.load() != before + 1) return 1;
                      if (!once.queue() || !nmircu::deferred_start()) return 2;
                      while (once_runs.load() != before + 2) {
                      }
                      stop.store(true);
                      return 0;
                  }),
                  0);
        nmircu::deferred_flush_all();
        EXPECT_EQ(once_runs.load(), before + 1);
    }
    stop.store(true);
    nmircu::deferred_flush_all();
    nmircu::deferred_flush_all();
    EXPECT_GT(busy_runs.load(), 300);
}

TEST(deferred_fork, a_function_that_runs_for_long_does_not_run_again_in_the_child) {
    ASSERT_TRUE(nmircu::deferred_start());
    std::atomic<bool> inside{false}, open{false};
    std::atomic<int> runs{0};
    deferred_function slow([&] {
        runs.fetch_add(1);
        inside.store(true);
        while (!open.load()) {
        }
    });
    deferred_function behind([&] { runs.fetch_add(100); });
    slow.queue();
    while (!inside.load()) {
    }
    behind.queue();
    EXPECT_EQ(in_child([&] {
                  nmircu::deferred_flush_all();
                  return runs.load();
              }),
              101);
    open.store(true);
    nmircu::deferred_flush_all();
    EXPECT_EQ(runs.load(), 101);
}

TEST(deferred_fork, a_flush_in_the_child_brings_the_thread_back) {
    ASSERT_TRUE(nmircu::deferred_start());
    EXPECT_EQ(in_child([] {
                  std::atomic<bool> done{false};
                  deferred_function work([&] { done.store(true); });
                  nmircu::deferred_flush_all();
                  work.queue();
                  while (!done.load()) {
                  }
                  return 0;
              }),
              0);
}

TEST(deferred_fork, in_a_function) {
    std::atomic<int> result{-1};
    deferred_function forks([&] { result.store(in_child([] { return 7; })); });
    forks.queue();
    forks.flush();
    EXPECT_EQ(result.load(), 7);
}

}  // namespace
