// SPDX-License-Identifier: MIT
//
// Property: work may be queued in a thread's last instants, and by NMIs on the thread that runs it,
// also when they come while it runs the very item.
#include <pthread.h>

#include <atomic>
#include <climits>
#include <thread>

#include <gtest/gtest.h>
#include <nmircu/deferred.hpp>
#include <nmircu/detail/sanitizer.hpp>
#include <nmircu/nmi.hpp>
#include <nmircu/platform/port.hpp>

#include "raise.hpp"

namespace {

using nmircu::deferred_work;
using nmircu::nmi_error;
using nmircu::nmi_handler;
using nmircu::nmi_type;
using nmircu::pt_regs;

struct deferred_places : testing::Test {
    void SetUp() override {
        ASSERT_TRUE(nmircu::deferred_start());
        ASSERT_EQ(nmircu::nmi_attach(), 0);
    }
};

struct counting : deferred_work {
    constexpr counting() : deferred_work(run) {}
    static void run(deferred_work& work) noexcept {
        static_cast<counting&>(work).runs.fetch_add(1);
    }
    bool queue_and_count() noexcept {
        const bool accepts = queue();
        if (accepts) accepted.fetch_add(1);
        return accepts;
    }
    std::atomic<long> runs{0}, accepted{0};
};
constinit counting at_the_end;

struct queues_at_its_end {
    ~queues_at_its_end() { at_the_end.queue_and_count(); }
    bool used = false;
};
thread_local queues_at_its_end of_the_thread;

// As often as the implementation promises. ThreadSanitizer has let go of the thread by the last.
constexpr std::intptr_t rounds =
    PTHREAD_DESTRUCTOR_ITERATIONS - (nmircu::detail::under_thread_sanitizer ? 1 : 0);
pthread_key_t last_moment;
std::atomic<int> last_moments{0};

void queue_in_the_last_moment(void* round) {
    last_moments.fetch_add(1);
    at_the_end.queue_and_count();
    const auto done = reinterpret_cast<std::intptr_t>(round);
    if (done < rounds) pthread_setspecific(last_moment, reinterpret_cast<void*>(done + 1));
}

TEST_F(deferred_places, a_threads_last_instants) {
    constexpr int threads = 200;
    ASSERT_EQ(pthread_key_create(&last_moment, queue_in_the_last_moment), 0);
    for (int i = 0; i < threads; ++i) {
        std::thread([] {
            of_the_thread.used = true;
            pthread_setspecific(last_moment, reinterpret_cast<void*>(std::intptr_t{1}));
        }).join();
        // The item's last queue() has returned, also if it said false.
        const long before = at_the_end.runs.load();
        at_the_end.flush();
        EXPECT_GE(at_the_end.runs.load(), before);
        EXPECT_FALSE(at_the_end.pending());
        EXPECT_EQ(at_the_end.runs.load(), at_the_end.accepted.load());
    }
    EXPECT_EQ(last_moments.load(), threads * rounds);
    EXPECT_GE(at_the_end.accepted.load(), threads);
    pthread_key_delete(last_moment);
}

// Raises an NMI, whose handler queues the item that is running.
struct interrupted : deferred_work {
    interrupted() : deferred_work(run) {}
    static void run(deferred_work& work) noexcept {
        auto& self = static_cast<interrupted&>(work);
        self.thread.store(nmircu::platform::port::current_thread());
        if (self.runs.fetch_add(1) >= self.most) return;
        self.running = true;
        static_cast<void>(raise_here());
        self.running = false;
        if (!self.pending()) self.lost.fetch_add(1);
    }
    static constexpr long most = 1000;
    std::atomic<unsigned> thread{0};
    std::atomic<long> runs{0}, accepted{0}, lost{0};
    bool running = false;
};

TEST_F(deferred_places, an_nmi_that_queues_the_item_it_interrupts) {
    interrupted work;
    nmi_handler handler;
    auto queues = [&](pt_regs&, int) {
        if (!work.running) return 1;
        work.accepted.fetch_add(work.queue());
        work.accepted.fetch_add(work.queue());  // the same event: once more, not twice
        return 1;
    };
    ASSERT_EQ(handler.add(nmi_type::local, "queues", queues), nmi_error::none);
    ASSERT_TRUE(work.queue());
    while (work.runs.load() <= interrupted::most)
        std::this_thread::yield();
    work.flush();
    ASSERT_EQ(handler.remove(), nmi_error::none);
    EXPECT_EQ(work.accepted.load(), interrupted::most);
    EXPECT_EQ(work.runs.load(), 1 + interrupted::most);
    EXPECT_EQ(work.lost.load(), 0);
    EXPECT_NE(work.thread.load(), nmircu::platform::port::current_thread());
}

// NMIs anywhere on the thread: in an item, between two, as it takes them, as it falls asleep.
TEST_F(deferred_places, nmis_anywhere_on_the_thread_that_runs_items) {
    interrupted finds_it;
    finds_it.runs.store(interrupted::most);
    ASSERT_TRUE(finds_it.queue());
    while (finds_it.thread.load() == 0)
        std::this_thread::yield();
    const auto thread = static_cast<int>(finds_it.thread.load());
    finds_it.flush();
    counting items[3];
    std::atomic<long> events{0};
    nmi_handler handler;
    auto queues = [&](pt_regs&, int) {
        for (counting& item : items)
            item.queue_and_count();
        events.fetch_add(1);
        return 1;
    };
    ASSERT_EQ(handler.add(nmi_type::local, "queues", queues), nmi_error::none);
    for (int i = 0; i < 5000; ++i) {
        ASSERT_EQ(nmircu::nmi_raise(thread), 0);
        if (i % 4 == 0) items[0].queue_and_count();  // also while it runs some
    }
    // By itself: the thread has been awake since the last NMI.
    const long before = finds_it.runs.load();
    ASSERT_TRUE(finds_it.queue());
    while (finds_it.runs.load() == before)
        std::this_thread::yield();
    EXPECT_GT(events.load(), 0);
    ASSERT_EQ(handler.remove(), nmi_error::none);
    nmircu::deferred_flush_all();
    for (counting& item : items) {
        EXPECT_GT(item.runs.load(), 0);
        EXPECT_EQ(item.runs.load(), item.accepted.load());
    }
}

}  // namespace
