// SPDX-License-Identifier: MIT
//
// Property: a thread that is asked answers with its state as the signal found it; an answer that
// comes too late, or to a question of long ago, is never taken for another; and a question harms
// nobody who does not expect it.
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <functional>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>
#include <nmircu/rcu.hpp>

#include "../support/in_child.hpp"
#include "platform/linux/ask_threads.hpp"
#include "platform/linux/signal_tag.hpp"

namespace {

using namespace nmircu::platform;

constexpr std::uint64_t long_ns = 10'000'000'000;
constexpr std::uint64_t short_ns = 1'000'000;

// A thread that runs, with or without the signal blocked.
class running_thread {
  public:
    running_thread() : thread_([this] { run(); }) {
        while (id() == 0)
            std::this_thread::yield();
    }
    ~running_thread() {
        stop_.store(true);
        thread_.join();
    }
    [[nodiscard]] unsigned id() const { return id_.load(); }
    // Returns when it is done.
    void set_blocked(bool blocked) {
        wanted_.store(blocked);
        while (blocked_.load() != blocked)
            std::this_thread::yield();
    }

  private:
    void run() {
        id_.store(static_cast<unsigned>(gettid()));
        while (!stop_.load()) {
            if (wanted_.load() == blocked_.load()) continue;
            sigset_t set;
            sigemptyset(&set);
            sigaddset(&set, nmi_signal);
            pthread_sigmask(wanted_.load() ? SIG_BLOCK : SIG_UNBLOCK, &set, nullptr);
            blocked_.store(wanted_.load());
        }
    }
    std::atomic<unsigned> id_{0};
    std::atomic<bool> stop_{false}, wanted_{false}, blocked_{false};
    std::thread thread_;
};

TEST(ask_threads, answers_say_where_the_thread_is) {
    std::atomic<unsigned> id{0};
    std::atomic<bool> leave{false};
    std::thread reader([&] {
        std::scoped_lock section(nmircu::rcu_default_domain());
        id.store(static_cast<unsigned>(gettid()));
        while (!leave.load()) {
        }
    });
    while (id.load() == 0)
        std::this_thread::yield();
    running_thread other;
    ASSERT_TRUE(ask_thread(0, id.load()));
    ASSERT_TRUE(ask_thread(1, other.id()));
    wait_for_answers(2, long_ns);
    thread_answer inside, outside;
    ASSERT_TRUE(take_answer(0, inside));
    ASSERT_TRUE(take_answer(1, outside));
    leave.store(true);
    reader.join();
    EXPECT_EQ(inside.reader.thread, id.load());
    EXPECT_NE(inside.section, 0u);
    EXPECT_EQ(inside.reader.nesting, 1u);
    EXPECT_NE(inside.reader.entered_at, nullptr);
    EXPECT_NE(inside.reader.interrupted_at, nullptr);
    EXPECT_EQ(outside.reader.thread, other.id());
    EXPECT_EQ(outside.section, 0u);
    EXPECT_EQ(outside.reader.entered_at, nullptr);
}

TEST(ask_threads, a_late_answer_is_not_taken_for_another_threads) {
    running_thread late, next;
    late.set_blocked(true);
    ASSERT_TRUE(ask_thread(0, late.id()));
    wait_for_answers(1, short_ns);
    thread_answer answer;
    EXPECT_FALSE(take_answer(0, answer));
    next.set_blocked(true);
    ASSERT_TRUE(ask_thread(0, next.id()));
    late.set_blocked(false);  // its signal arrives here, at a slot that asks another
    wait_for_answers(1, short_ns);
    next.set_blocked(false);
    wait_for_answers(1, long_ns);
    ASSERT_TRUE(take_answer(0, answer));
    EXPECT_EQ(answer.reader.thread, next.id());
    EXPECT_FALSE(take_answer(0, answer));
}

TEST(ask_threads, a_late_signal_answers_a_later_question_truly) {
    running_thread thread;
    thread.set_blocked(true);
    ASSERT_TRUE(ask_thread(0, thread.id()));
    thread_answer answer;
    EXPECT_FALSE(take_answer(0, answer));
    // The same slot: the two signals have merged into one.
    ASSERT_TRUE(ask_thread(0, thread.id()));
    thread.set_blocked(false);
    wait_for_answers(1, long_ns);
    ASSERT_TRUE(take_answer(0, answer));
    EXPECT_EQ(answer.reader.thread, thread.id());
}

TEST(ask_threads, there_is_nobody_to_ask) {
    unsigned id = 0;
    std::thread([&] { id = static_cast<unsigned>(gettid()); }).join();
    while (ask_thread(0, id)) {  // until it has been buried
        thread_answer answer;
        EXPECT_FALSE(take_answer(0, answer));
    }
}

// Without room for pending signals the kernel delivers a signal that has lost what it carries.
TEST(ask_threads, a_question_that_lost_its_data_is_answered) {
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_SIGPENDING, &before), 0);
    rlimit none = before;
    none.rlim_cur = 0;
    running_thread thread;
    ASSERT_EQ(setrlimit(RLIMIT_SIGPENDING, &none), 0);
    const bool asked = ask_thread(0, thread.id());
    wait_for_answers(1, long_ns);
    setrlimit(RLIMIT_SIGPENDING, &before);
    ASSERT_TRUE(asked);
    thread_answer answer;
    ASSERT_TRUE(take_answer(0, answer));
    EXPECT_EQ(answer.reader.thread, thread.id());
}

// Its default action would end the program.
TEST(ask_threads, a_program_that_took_the_signal_back_is_not_asked) {
    EXPECT_EQ(nmircu_test::in_child([] {
                  const auto self = static_cast<unsigned>(gettid());
                  if (!ask_thread(0, self)) return 1;
                  thread_answer answer;
                  static std::atomic<int> delivery_point{0};
                  delivery_point.fetch_add(1);
                  if (!take_answer(0, answer)) return 2;
                  signal(nmi_signal, SIG_DFL);
                  return ask_thread(0, self) ? 3 : 0;
              }),
              0);
}

}  // namespace
