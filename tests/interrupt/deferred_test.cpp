// SPDX-License-Identifier: MIT
//
// Property: whatever is queued runs, on a thread and outside handlers, once for each time that
// queue said so, in order; and a flush means what it says.
#include <atomic>
#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nmircu/deferred.hpp>
#include <nmircu/nmi.hpp>
#include <nmircu/platform/port.hpp>

#include "raise.hpp"

namespace {

using nmircu::deferred_function;
using nmircu::deferred_work;
using nmircu::nmi_error;
using nmircu::nmi_handler;
using nmircu::nmi_type;
using nmircu::pt_regs;

struct deferred : testing::Test {
    void SetUp() override {
        ASSERT_TRUE(nmircu::deferred_start());
        ASSERT_EQ(nmircu::nmi_attach(), 0);
    }
};

struct seen_context {
    std::atomic<unsigned> thread{0};
    std::atomic<bool> in_nmi{true}, in_section{true};
};

TEST_F(deferred, runs_on_a_thread_of_its_own_outside_sections_and_handlers) {
    seen_context seen;
    deferred_function work([&] {
        seen.thread.store(nmircu::platform::port::current_thread());
        seen.in_nmi.store(nmircu::in_nmi());
        seen.in_section.store(nmircu::rcu_read_held());
    });
    nmi_handler handler;
    auto queues = [&](pt_regs&, int) { return work.queue() ? 1 : 2; };
    ASSERT_EQ(handler.add(nmi_type::local, "queues", queues), nmi_error::none);
    errno = 4711;
    static_cast<void>(raise_here());
    EXPECT_EQ(errno, 4711);
    while (seen.thread.load() == 0) {  // by itself: nobody flushes
    }
    nmircu::deferred_flush_all();
    EXPECT_NE(seen.thread.load(), nmircu::platform::port::current_thread());
    EXPECT_FALSE(seen.in_nmi.load());
    EXPECT_FALSE(seen.in_section.load());
}

// Keeps the thread busy until opened, so that what is queued meanwhile stays queued.
class plug {
  public:
    plug()
        : work_([this] {
              closed_.store(true);
              while (!open_.load()) {
              }
          }) {
        work_.queue();
        while (!closed_.load()) {
        }
    }
    void pull() { open_.store(true); }
    ~plug() { pull(); }

  private:
    std::atomic<bool> closed_{false}, open_{false};
    deferred_function<std::function<void()>> work_;
};

TEST_F(deferred, is_queued_once_until_it_runs_and_in_order) {
    plug busy;
    std::string order;
    deferred_function a([&] { order.push_back('a'); });
    deferred_function b([&] { order.push_back('b'); });
    deferred_function c([&] { order.push_back('c'); });
    EXPECT_TRUE(b.queue());
    EXPECT_TRUE(a.queue());
    EXPECT_FALSE(b.queue());
    EXPECT_TRUE(c.queue());
    EXPECT_TRUE(b.pending());
    EXPECT_EQ(order, "");
    busy.pull();
    c.flush();
    EXPECT_EQ(order, "bac");
    EXPECT_FALSE(b.pending());
    EXPECT_TRUE(b.queue());
    b.flush();
    EXPECT_EQ(order, "bacb");
}

struct again : deferred_work {
    again() : deferred_work(run) {}
    static void run(deferred_work& work) noexcept {
        auto& self = static_cast<again&>(work);
        if (self.runs.fetch_add(1) < 99) self.queued_again += self.queue();
        if (self.runs.load() == 100) self.over.store(true);
    }
    std::atomic<int> runs{0};
    int queued_again = 0;
    std::atomic<bool> over{false};
};

TEST_F(deferred, an_item_may_queue_itself) {
    again work;
    EXPECT_TRUE(work.queue());
    while (!work.over.load()) {
    }
    work.flush();
    EXPECT_EQ(work.runs.load(), 100);
    EXPECT_EQ(work.queued_again, 99);
}

struct frees_itself : deferred_work {
    explicit frees_itself(std::atomic<int>& freed) : deferred_work(run), freed_(freed) {}
    static void run(deferred_work& work) noexcept {
        auto* const self = static_cast<frees_itself*>(&work);
        self->freed_.fetch_add(1);
        delete self;
    }
    std::atomic<int>& freed_;
};

TEST_F(deferred, an_item_may_free_itself) {
    std::atomic<int> freed{0};
    for (int i = 0; i < 1000; ++i)
        (new frees_itself(freed))->queue();
    nmircu::deferred_flush_all();
    EXPECT_EQ(freed.load(), 1000);
}

// Four threads take NMIs whose handler queues two items, while others flush.
TEST_F(deferred, every_queue_that_says_so_is_one_run) {
    std::atomic<long> runs[2] = {}, accepted[2] = {}, events[2] = {}, seen[2] = {};
    deferred_function first([&] {
        runs[0].fetch_add(1);
        seen[0].store(events[0].load());
    });
    deferred_function second([&] {
        runs[1].fetch_add(1);
        seen[1].store(events[1].load());
    });
    nmi_handler handler;
    auto queues = [&](pt_regs&, int) {
        events[0].fetch_add(1);
        accepted[0].fetch_add(first.queue());
        events[1].fetch_add(1);
        accepted[1].fetch_add(second.queue());
        return 1;
    };
    ASSERT_EQ(handler.add(nmi_type::local, "queues", queues), nmi_error::none);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&, i] {
            for (int k = 0; k < 5000; ++k) {
                static_cast<void>(raise_here());
                if (i == 0 && k % 16 == 0) nmircu::deferred_flush_all();
            }
        });
    }
    for (auto& thread : threads)
        thread.join();
    ASSERT_EQ(handler.remove(), nmi_error::none);
    nmircu::deferred_flush_all();
    for (int i : {0, 1}) {
        EXPECT_GT(accepted[i].load(), 0);
        EXPECT_EQ(runs[i].load(), accepted[i].load());
        // No event after the last run: the one that found the item queued was seen by that run.
        EXPECT_EQ(seen[i].load(), events[i].load());
    }
}

TEST_F(deferred, a_destructor_waits_for_the_run) {
    for (int i = 0; i < 200; ++i) {
        auto done = std::make_unique<std::atomic<bool>>(false);
        {
            deferred_function work([&] { done->store(true); });
            work.queue();
        }
        EXPECT_TRUE(done->load());
    }
}

TEST_F(deferred, flushing_inside_an_item_stops_the_program_and_names_both) {
    // In a fresh process: a flush in a forked one starts a thread, which ThreadSanitizer forbids.
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(
        {
            deferred_function work([] { nmircu::deferred_flush_all(); });
            work.queue();
            work.flush();
        },
        "deferred_flush_all called at 0x[0-9a-f]+ inside the function of deferred work at "
        "0x[0-9a-f]+; it would wait for itself");
}

TEST_F(deferred, flushing_inside_a_section_or_a_handler_stops_the_program) {
    EXPECT_DEATH(
        {
            nmircu::rcu_default_domain().lock();
            nmircu::deferred_flush_all();
        },
        "deferred_flush_all called at 0x[0-9a-f]+ inside a read-side critical section entered at");
    EXPECT_DEATH(
        {
            nmi_handler handler;
            auto flushes = [](pt_regs&, int) {
                nmircu::deferred_flush_all();
                return 1;
            };
            if ((handler.add)(nmi_type::local, "flushes", flushes) == nmi_error::none) raise_here();
        },
        "deferred_flush_all called at 0x[0-9a-f]+ inside .*in handler \"?flushes");
}

constinit std::atomic<int> early_runs{0};
void note_early(deferred_work&) noexcept {
    early_runs.fetch_add(1);
}
constinit deferred_work early(note_early);
const bool queued_before_main = early.queue();

TEST_F(deferred, what_was_queued_before_there_was_a_thread_runs_when_there_is_one) {
    EXPECT_TRUE(queued_before_main);
    nmircu::deferred_flush_all();
    EXPECT_EQ(early_runs.load(), 1);
}

}  // namespace
