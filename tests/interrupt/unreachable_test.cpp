// SPDX-License-Identifier: MIT
//
// Property: a thread that NMIs do not reach is listed by number and reason, in a program that is
// only linked and runs no source, however it came to block the signal; and a thread that they do
// reach is not.
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nmircu/nmi.h>
#include <nmircu/nmi.hpp>

#include "../support/in_child.hpp"
#include "platform/linux/signal_vector.hpp"
#include "raise.hpp"

namespace {

using nmircu::nmi_unreachable_thread;
using nmircu::nmi_unreachable_threads;
using reason = nmircu::nmi_unreachable_reason;

int thread_id() {
    return static_cast<int>(::syscall(SYS_gettid));
}

// Null: it is not listed.
const nmi_unreachable_thread* find(int tid) {
    static nmi_unreachable_thread list[64];
    const std::size_t count = nmi_unreachable_threads(list, std::size(list));
    if (count > std::size(list)) return nullptr;
    const auto end = list + count;
    const auto at = std::find_if(list, end, [&](const auto& one) { return one.tid == tid; });
    return at == end ? nullptr : at;
}

// /proc tells of a wait a moment after it has begun.
const nmi_unreachable_thread* wait_for(int tid, reason why) {
    for (;;) {
        const nmi_unreachable_thread* const found = find(tid);
        if (found != nullptr && found->reason == why) return found;
        std::this_thread::yield();
    }
}

std::uint64_t bit_of(int signal) {
    return std::uint64_t{1} << (signal - 1);
}
sigset_t only(int signal) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    return set;
}
void block_raw(int how, std::uint64_t set) {
    ::syscall(SYS_rt_sigprocmask, how, &set, nullptr, sizeof(set));
}

// A thread that does something to its signals and then spins until it is let go.
class changed_thread {
  public:
    template <class Change>
    explicit changed_thread(Change change)
        : thread_([this, change] {
              pthread_setname_np(pthread_self(), "changed");
              change();
              tid_.store(thread_id());
              while (!let_go_.load())
                  std::this_thread::yield();
          }) {
        while (tid_.load() == 0)
            std::this_thread::yield();
    }
    ~changed_thread() {
        let_go_.store(true);
        thread_.join();
    }
    [[nodiscard]] int tid() const { return tid_.load(); }

  private:
    std::atomic<int> tid_{0};
    std::atomic<bool> let_go_{false};
    std::thread thread_;
};

void expect_blocked(void (*change)()) {
    const changed_thread thread(change);
    const nmi_unreachable_thread* const found = find(thread.tid());
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->reason, reason::blocks_signal);
    EXPECT_EQ(found->signal, SIGSTKFLT);
    EXPECT_STREQ(found->name, "changed");
}

struct unreachable : testing::Test {
    void SetUp() override { ASSERT_EQ(nmircu::nmi_attach(), 0); }
};

TEST_F(unreachable, nobody_in_a_program_that_leaves_the_signal_alone) {
    const changed_thread thread([] {});
    EXPECT_EQ(find(thread.tid()), nullptr);
    EXPECT_EQ(find(thread_id()), nullptr);
}

TEST_F(unreachable, who_blocks_the_signal_however) {
    expect_blocked([] { block_raw(SIG_BLOCK, bit_of(SIGSTKFLT)); });
    expect_blocked([] { block_raw(SIG_SETMASK, ~std::uint64_t{0}); });
    expect_blocked([] {
        const sigset_t set = only(SIGSTKFLT);
        pthread_sigmask(SIG_BLOCK, &set, nullptr);
    });
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    expect_blocked([] { sighold(SIGSTKFLT); });
    expect_blocked([] { sigset(SIGSTKFLT, SIG_HOLD); });
#pragma GCC diagnostic pop
}

TEST_F(unreachable, until_it_unblocks_it) {
    static std::atomic<bool> unblock;
    static std::atomic<bool> unblocked;
    unblock = unblocked = false;
    std::atomic<int> tid{0};
    std::thread thread([&] {
        block_raw(SIG_BLOCK, bit_of(SIGSTKFLT));
        tid.store(thread_id());
        while (!unblock.load())
            std::this_thread::yield();
        block_raw(SIG_UNBLOCK, bit_of(SIGSTKFLT));
        unblocked.store(true);
        while (unblock.load())
            std::this_thread::yield();
    });
    while (tid.load() == 0)
        std::this_thread::yield();
    EXPECT_NE(find(tid.load()), nullptr);
    unblock.store(true);
    while (!unblocked.load())
        std::this_thread::yield();
    EXPECT_EQ(find(tid.load()), nullptr);
    unblock.store(false);
    thread.join();
}

TEST_F(unreachable, the_calling_thread_too) {
    block_raw(SIG_BLOCK, bit_of(SIGSTKFLT));
    const nmi_unreachable_thread* const found = find(thread_id());
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->reason, reason::blocks_signal);
    EXPECT_EQ(found->state, 'R');
    block_raw(SIG_UNBLOCK, bit_of(SIGSTKFLT));
}

TEST_F(unreachable, a_signal_of_perf_counts_once_it_is_attached_and_not_before) {
    if (nmircu::detail::under_thread_sanitizer) GTEST_SKIP() << "it takes SIGTRAP for a fault";
    EXPECT_EQ(nmircu_test::in_child([] {
                  block_raw(SIG_BLOCK, bit_of(SIGTRAP));
                  if (find(thread_id()) != nullptr) return 1;
                  if (nmircu::platform::attach_signal(SIGTRAP) != 0) return 2;
                  const nmi_unreachable_thread* const found = find(thread_id());
                  if (found == nullptr || found->reason != reason::blocks_signal) return 3;
                  return found->signal == SIGTRAP ? 0 : 4;
              }),
              0);
}

// One that waits for the signal has it open, and takes it all the same.
TEST_F(unreachable, who_waits_for_the_signal) {
    for (const bool blocks_it : {false, true}) {
        std::atomic<int> tid{0};
        std::atomic<int> taken{0};
        std::thread thread([&] {
            std::uint64_t set = bit_of(SIGSTKFLT);
            if (blocks_it) block_raw(SIG_BLOCK, set);
            tid.store(thread_id());
            siginfo_t info;
            taken.store(static_cast<int>(
                ::syscall(SYS_rt_sigtimedwait, &set, &info, nullptr, sizeof(set))));
        });
        while (tid.load() == 0)
            std::this_thread::yield();
        const nmi_unreachable_thread* const found = wait_for(tid.load(), reason::waits_for_signal);
        EXPECT_EQ(found->signal, SIGSTKFLT);
        EXPECT_EQ(found->state, 'S');
        EXPECT_EQ(nmircu::nmi_raise(tid.load()), 0);
        thread.join();
        EXPECT_EQ(taken, SIGSTKFLT);  // instead of a handler of ours
    }
}

TEST_F(unreachable, who_waits_for_another_signal_is_not) {
    std::atomic<int> tid{0};
    std::thread thread([&] {
        const sigset_t set = only(SIGUSR1);
        pthread_sigmask(SIG_BLOCK, &set, nullptr);
        tid.store(thread_id());
        int signal = 0;
        sigwait(&set, &signal);
    });
    while (tid.load() == 0)
        std::this_thread::yield();
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(find(tid.load()), nullptr);
        std::this_thread::yield();
    }
    pthread_kill(thread.native_handle(), SIGUSR1);
    thread.join();
}

// A sanitizer's own threads are others, and for a moment one of the library's that has just begun:
// in the end one look finds as many as the next.
TEST_F(unreachable, as_many_as_there_is_room_for_and_all_of_them_counted) {
    std::size_t others = 0, two_more = 0, with_room_for_one = 0;
    nmi_unreachable_thread list[8];
    for (int attempt = 0;
         attempt < 1000 && (two_more != others + 2 || with_room_for_one != two_more); ++attempt) {
        others = nmi_unreachable_threads(nullptr, 0);
        const changed_thread a([] { block_raw(SIG_BLOCK, bit_of(SIGSTKFLT)); });
        const changed_thread b([] { block_raw(SIG_BLOCK, bit_of(SIGSTKFLT)); });
        std::memset(list, 0x5a, sizeof(list));
        two_more = nmi_unreachable_threads(nullptr, 0);
        with_room_for_one = nmi_unreachable_threads(list, others + 1);
    }
    EXPECT_EQ(two_more, others + 2);
    EXPECT_EQ(with_room_for_one, others + 2);
    EXPECT_NE(list[others].tid, 0x5a5a5a5a);
    EXPECT_EQ(list[others + 1].tid, 0x5a5a5a5a);
}

TEST_F(unreachable, the_same_in_c) {
    const changed_thread thread([] { block_raw(SIG_BLOCK, bit_of(SIGSTKFLT)); });
    nmircu_unreachable_thread list[8];
    const std::size_t count = nmircu_nmi_unreachable_threads(list, 8);
    ASSERT_LE(count, std::size(list));
    const auto* const found =
        std::find_if(list, list + count, [&](const auto& one) { return one.tid == thread.tid(); });
    ASSERT_NE(found, list + count);
    EXPECT_EQ(found->reason, NMIRCU_BLOCKS_SIGNAL);
    EXPECT_EQ(found->signal, SIGSTKFLT);
    EXPECT_STREQ(found->name, "changed");
    EXPECT_STREQ(nmircu_describe_unreachable(NMIRCU_BLOCKS_SIGNAL), "it blocks the signal");
}

TEST_F(unreachable, all_of_them_in_a_program_that_takes_the_signal_away) {
    struct sigaction ours;
    sigaction(SIGSTKFLT, nullptr, &ours);
    signal(SIGSTKFLT, SIG_IGN);
    const nmi_unreachable_thread* const found = find(thread_id());
    sigaction(SIGSTKFLT, &ours, nullptr);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->reason, reason::not_attached);
    EXPECT_EQ(find(thread_id()), nullptr);
}

// In a process of its own: there the first thread has gone.
TEST(unreachable_first_thread, that_has_ended) {
    if (nmircu::detail::under_thread_sanitizer) GTEST_SKIP() << "forked children start no threads";
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);
        static const int first = thread_id();
        if (nmircu::nmi_attach() != 0) _exit(1);
        std::thread([] {
            static_cast<void>(wait_for(first, reason::ended));
            _exit(0);
        }).detach();
        ::syscall(SYS_exit, 0);  // as pthread_exit ends it, without the destructors of a test
    }
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

TEST(unreachable_program, nobody_has_attached) {
    EXPECT_EQ(nmircu_test::in_child([] {
                  // The fixture has attached, in the parent; the child takes that back.
                  signal(SIGSTKFLT, SIG_DFL);
                  const nmi_unreachable_thread* const found = find(thread_id());
                  return found != nullptr && found->reason == reason::not_attached ? 0 : 1;
              }),
              0);
}

TEST(unreachable_program, every_reason_has_a_sentence_of_its_own) {
    std::vector<std::string> seen;
    for (int i = 0; i <= static_cast<int>(reason::no_answer); ++i) {
        const std::string text = nmircu::describe(reason(i));
        EXPECT_NE(text, "unknown reason");
        EXPECT_EQ(std::count(seen.begin(), seen.end(), text), 0);
        seen.push_back(text);
    }
    EXPECT_STREQ(nmircu::describe(reason(200)), "unknown reason");
}

}  // namespace
