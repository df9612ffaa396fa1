// SPDX-License-Identifier: MIT
//
// Property: a flush of an item covers every call of queue() that has returned, also one that
// returned false because another thread was in the middle of queueing; and it comes to its turn
// while others queue all the time.
#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include <nmircu/deferred.hpp>

namespace {

// A thread was interrupted, or preempted, between its two steps: the item is claimed, not pushed.
TEST(deferred_flush, waits_for_who_is_in_the_middle_of_queueing) {
    ASSERT_TRUE(nmircu::deferred_start());
    static std::atomic<int> runs{0};
    nmircu::detail::deferred_item item{
        [](nmircu::detail::deferred_item*) noexcept { runs.fetch_add(1); }, nullptr, {1}};
    EXPECT_FALSE(nmircu::detail::queue_deferred(item));
    std::atomic<bool> begun{false}, finished{false}, too_early{false};
    std::thread flusher([&] {
        begun.store(true);
        nmircu::detail::flush_deferred(&item, "flush", nullptr);
        too_early.store(!finished.load());
    });
    while (!begun.load())
        std::this_thread::yield();
    for (int i = 0; i < 1000; ++i) {
        nmircu::deferred_flush_all();  // the flusher has had its turn, if turns are all it needs
        std::this_thread::yield();
    }
    finished.store(true);
    item.queued.store(0);
    EXPECT_TRUE(nmircu::detail::queue_deferred(item));
    flusher.join();
    EXPECT_FALSE(too_early.load());
    nmircu::detail::flush_deferred(&item, "flush", nullptr);
    EXPECT_EQ(runs.load(), 1);
}

TEST(deferred_flush, has_its_turn_while_an_item_queues_itself_for_ever) {
    ASSERT_TRUE(nmircu::deferred_start());
    struct busy_item : nmircu::deferred_work {
        busy_item() : deferred_work(run) {}
        static void run(nmircu::deferred_work& work) noexcept {
            auto& self = static_cast<busy_item&>(work);
            self.runs.fetch_add(1);
            if (!self.over.load()) self.queue();
        }
        std::atomic<long> runs{0};
        std::atomic<bool> over{false};
    } busy;
    busy.queue();
    for (int i = 0; i < 1000; ++i) {
        const long before = busy.runs.load();
        busy.flush();
        EXPECT_GT(busy.runs.load(), before);
    }
    busy.over.store(true);
}

}  // namespace
