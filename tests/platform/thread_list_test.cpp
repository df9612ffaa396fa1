// SPDX-License-Identifier: MIT
//
// Property: a listing shows every thread that exists throughout it, also while others come and go,
// and blocked_signals shows the mask a thread has set.
#include "platform/linux/thread_list.hpp"

#include <pthread.h>

#include <algorithm>
#include <csignal>
#include <vector>

#include "hits.hpp"

namespace {

using namespace test;

bool contains(const std::vector<int>& list, int thread) {
    return std::binary_search(list.begin(), list.end(), thread);
}

// Threads that publish their number and live until told to end.
class sleepers {
  public:
    explicit sleepers(std::size_t count) : ids_(count) {
        for (auto& id : ids_)
            threads_.emplace_back([this, &id] {
                id.store(thread_id(), std::memory_order_relaxed);  // joined with started_
                started_.fetch_add(1, std::memory_order_seq_cst);  // [TH-3] partner: [TH-4]
                end_.wait();
            });
        // [TH-4] seq_cst: the numbers are stored before the count. Partner: [TH-3].
        // Weakened: a number reads as 0.
        while (started_.load(std::memory_order_seq_cst) < count)
            std::this_thread::yield();
    }
    ~sleepers() {
        end_.set();
        for (auto& thread : threads_)
            thread.join();
    }
    [[nodiscard]] bool all_in(const std::vector<int>& list) const {
        return std::all_of(ids_.begin(), ids_.end(), [&](const auto& id) {
            return contains(list, id.load(std::memory_order_relaxed));  // see the constructor
        });
    }

  private:
    std::vector<std::atomic<int>> ids_;
    std::atomic<std::size_t> started_{0};
    signpost end_;
    std::vector<std::thread> threads_;
};

TEST(thread_list, shows_every_thread_in_order) {
    const sleepers some(50);
    const std::vector<int> list = list_threads();
    EXPECT_TRUE(contains(list, thread_id()));
    EXPECT_TRUE(some.all_in(list));
    EXPECT_TRUE(std::is_sorted(list.begin(), list.end()));
    EXPECT_EQ(list.end(), std::adjacent_find(list.begin(), list.end()));
}

TEST(thread_list, misses_nobody_while_others_come_and_go) {
    const sleepers some(100);
    signpost end;
    std::vector<std::thread> churn;
    for (int i = 0; i < 3; ++i)
        churn.emplace_back([&] {
            while (!end.is_set())
                std::thread([] {}).join();
        });
    for (int round = 0; round < 200; ++round)
        ASSERT_TRUE(some.all_in(list_threads()));
    end.set();
    for (auto& thread : churn)
        thread.join();
}

// In a child, because it is for good. Four are hidden, a fifth is not; all others are still
// complete.
int hide_some() {
    const sleepers some(20);
    const std::vector<int> before = list_threads();
    for (std::size_t i = 0; i < 5; ++i)
        nmircu::platform::hide_thread(before[i * 2]);
    std::vector<int> expected = before;
    for (const int hidden : {before[0], before[2], before[4], before[6]})
        expected.erase(std::find(expected.begin(), expected.end(), hidden));
    return list_threads() == expected ? 0 : 1;
}

TEST(thread_list, leaves_out_hidden_threads_and_only_those) {
    EXPECT_EXIT(::_exit(hide_some()), testing::ExitedWithCode(0), "");
}

TEST(thread_list, shows_the_mask_of_a_thread) {
    signpost blocked;
    signpost end;
    int id = 0;
    std::thread other([&] {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGSTKFLT);
        sigaddset(&set, SIGRTMAX);
        pthread_sigmask(SIG_BLOCK, &set, nullptr);
        id = thread_id();
        blocked.set();
        end.wait();
    });
    blocked.wait();
    const auto mask = blocked_signals(id);
    end.set();
    other.join();
    ASSERT_TRUE(mask);
    EXPECT_EQ(1u, *mask >> (SIGSTKFLT - 1) & 1);
    EXPECT_EQ(1u, *mask >> (SIGRTMAX - 1) & 1);
    EXPECT_EQ(0u, *mask >> (SIGTRAP - 1) & 1);
}

TEST(thread_list, knows_that_a_thread_is_gone) {
    int id = 0;
    std::thread([&] { id = thread_id(); }).join();
    // A joined thread may linger in /proc for a moment.
    EXPECT_TRUE(burn_until([&] { return !blocked_signals(id).has_value(); }));
}

}  // namespace
