// SPDX-License-Identifier: MIT
//
// Property: a fork leaves both processes a whole queue, wherever the thread that runs items was.
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include <gtest/gtest.h>
#include <nmircu/deferred.hpp>

#include "../support/in_child.hpp"

namespace {

using nmircu::deferred_function;
using nmircu_test::in_child;

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
    for (int round = 0; round < 100; ++round) {
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
    EXPECT_GT(busy_runs.load(), 100);
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

// Called in a fork, when the library is ready for it; handlers of pthread_atfork run last first.
std::atomic<void (*)()> before_the_copy{nullptr};
void call_before_the_copy() {
    if (auto* const function = before_the_copy.load()) function();
}
[[gnu::constructor(101)]] void be_last_before_the_copy() {
    pthread_atfork(call_before_the_copy, nullptr, nullptr);
}

struct long_run {
    std::atomic<bool> inside{false}, open{false}, over{false};
    std::atomic<int> behind{0};
};
constinit long_run a_long_run;

// Lets the function return in the middle of the fork, and those behind it run if they can.
void end_the_long_run() {
    using clock = std::chrono::steady_clock;
    a_long_run.open.store(true);
    while (!a_long_run.over.load()) {
    }
    const auto enough = clock::now() + std::chrono::milliseconds(30);
    while (clock::now() < enough && a_long_run.behind.load() == 0) {
    }
}

TEST(deferred_fork, nothing_begins_after_a_function_that_a_fork_did_not_wait_for) {
    ASSERT_TRUE(nmircu::deferred_start());
    deferred_function slow([] {
        a_long_run.inside.store(true);
        while (!a_long_run.open.load()) {
        }
        a_long_run.over.store(true);
    });
    deferred_function behind([] { a_long_run.behind.fetch_add(1); });
    slow.queue();
    while (!a_long_run.inside.load()) {
    }
    behind.queue();  // in the thread's next batch
    before_the_copy.store(end_the_long_run);
    EXPECT_EQ(in_child([&] {
                  before_the_copy.store(nullptr);
                  if (!a_long_run.over.load() || slow.pending()) return 1;
                  if (a_long_run.behind.load() != 0 || !behind.pending()) return 2;
                  nmircu::deferred_flush_all();
                  if (a_long_run.behind.load() != 1) return 3;
                  return slow.queue() && behind.queue() ? 0 : 4;
              }),
              0);
    before_the_copy.store(nullptr);
    nmircu::deferred_flush_all();
    EXPECT_EQ(a_long_run.behind.load(), 1);
}

// Items that take a while and queue themselves, so that the thread always runs one. A fork that is
// not given its turn between two waits its time out and comes in the middle of a function.
TEST(deferred_fork, has_its_turn_and_loses_none_of_many) {
    ASSERT_TRUE(nmircu::deferred_start());
    struct busy_item : nmircu::deferred_work {
        busy_item() : deferred_work(run) {}
        static void run(nmircu::deferred_work& work) noexcept {
            auto& self = static_cast<busy_item&>(work);
            using clock = std::chrono::steady_clock;
            const auto end = clock::now() + std::chrono::milliseconds(1);
            while (clock::now() < end) {
            }
            self.runs.fetch_add(1);
            if (!self.over.load()) self.queue();
        }
        std::atomic<long> runs{0};
        std::atomic<bool> over{false};
    };
    std::vector<busy_item> items(3);
    for (busy_item& item : items)
        item.queue();
    // A fork gives up after a tenth of a second, and a CPU may be somebody else's for so long.
    constexpr int was_late = 10;
    int in_time = 0;
    for (int round = 0; round < 80; ++round) {
        const auto begin = std::chrono::steady_clock::now();
        const int status = in_child([&] {
            if (std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds(100)) {
                return was_late;
            }
            std::vector<long> before;
            for (busy_item& item : items) {
                if (!item.pending()) return 1;
                before.push_back(item.runs.load());
                item.over.store(true);
            }
            nmircu::deferred_flush_all();
            for (std::size_t i = 0; i < items.size(); ++i) {
                if (items[i].runs.load() != before[i] + 1) return 2;
                if (!items[i].queue()) return 3;
            }
            return 0;
        });
        if (status == 0) ++in_time;
        EXPECT_TRUE(status == 0 || status == was_late) << status;
    }
    EXPECT_GT(in_time, 20);
    for (busy_item& item : items)
        item.over.store(true);
    nmircu::deferred_flush_all();
}

TEST(deferred_fork, what_another_thread_was_in_the_middle_of_queueing_can_be_queued_in_the_child) {
    static std::atomic<int> runs{0};
    const auto count = [](nmircu::detail::deferred_item*) noexcept { runs.fetch_add(1); };
    nmircu::detail::deferred_item queued{count, nullptr, {0}}, claimed{count, nullptr, {0}};
    ASSERT_TRUE(nmircu::detail::queue_deferred(queued));
    nmircu::detail::flush_deferred(&queued, "flush", nullptr);
    ASSERT_EQ(runs.load(), 1);
    claimed.queued.store(1);  // this process has not been forked: the claim of a thread of it
    ASSERT_FALSE(nmircu::detail::queue_deferred(claimed));
    EXPECT_EQ(in_child([&] {
                  nmircu::detail::flush_deferred(&claimed, "flush", nullptr);
                  if (runs.load() != 1) return 1;
                  if (!nmircu::detail::queue_deferred(claimed)) return 2;
                  if (nmircu::detail::queue_deferred(claimed)) return 3;
                  nmircu::detail::flush_deferred(&claimed, "flush", nullptr);
                  return runs.load() == 2 ? 0 : 4;
              }),
              0);
}

}  // namespace
