// SPDX-License-Identifier: MIT
//
// Property: a thread that is made to call a function goes on exactly where it was: when the call
// has returned, when nobody waits for it any longer, and when the one who made it call is dead.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <functional>

#include <gtest/gtest.h>
#include <nmi/attach/loaded_object.hpp>
#include <nmi/attach/traced_thread.hpp>
#include <nmi/attach/unwinder.hpp>

namespace {

using namespace nmircu::command;
using milliseconds = std::chrono::milliseconds;
using outcome = traced_thread::outcome;

constexpr milliseconds patience{30000};

// What test and target say to each other.
struct shared_page {
    std::atomic<long> rounds;
    std::atomic<long> calls_begun;
    std::atomic<long> calls_ended;
    std::atomic<long> text_was_right;
    std::atomic<int> let_go;
};
shared_page* page = nullptr;

extern "C" void count_call() {
    page->calls_begun.fetch_add(1);
    page->calls_ended.fetch_add(1);
}

extern "C" void check_text(const char* text, long second) {
    if (std::strcmp(text, "a text of some length") == 0 && second == 42) {
        page->text_was_right.store(1);
    }
}

extern "C" void stay() {
    page->calls_begun.fetch_add(1);
    while (page->let_go.load() == 0)
        ;
    page->calls_ended.fetch_add(1);
}

[[gnu::noinline]] double compute() {
    double a = 3, b = 1, c = 0.5;
    long double d = 2;
    unsigned long e = 1;
    for (int i = 0; i < 2000; ++i) {
        a = a * 0.999 + b;
        b = b * 0.998 + c;
        c = c * 0.997 + 0.001;
        d = d * 0.5L + 1;
        e = e * 6364136223846793005ul + 1;
    }
    return a + b + c + static_cast<double>(d) + static_cast<double>(e);
}

[[noreturn]] void compute_for_ever() {
    const double expected = compute();
    for (;;) {
        if (compute() != expected) _exit(1);
        page->rounds.fetch_add(1);
    }
}

[[noreturn]] void sleep_for_ever() {
    const timespec while_{0, 50'000'000};
    for (;;) {
        if (nanosleep(&while_, nullptr) != 0) _exit(1);
        page->rounds.fetch_add(1);
    }
}

bool wait_until(const std::function<bool()>& seen) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < end) {
        if (seen()) return true;
        usleep(1000);
    }
    return false;
}

class traced : public testing::Test {
  protected:
    void SetUp() override {
        page = static_cast<shared_page*>(
            mmap(nullptr, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
        constexpr std::array names = {"libc.so.6"};
        const auto libc = loaded_object::find(facts_of(getpid(), "test"), names);
        ASSERT_NE(libc, nullptr);
        trampoline_ = libc->code(machine::trampoline_code());
        ASSERT_NE(trampoline_, 0u);
        errno_location_ = libc->symbol("__errno_location");
    }
    void TearDown() override {
        if (target_ > 0) {
            kill(target_, SIGKILL);
            waitpid(target_, nullptr, 0);
        }
        munmap(page, sizeof *page);
    }

    void start(void (*what)()) {
        target_ = fork();
        if (target_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
            what();
        }
        ASSERT_TRUE(goes_on());
    }
    [[nodiscard]] machine::call call_of(void (*function)()) const {
        return {reinterpret_cast<std::uint64_t>(function), "", 0, trampoline_};
    }
    // It computes, rightly, or sleeps, undisturbed; and has not ended.
    static bool goes_on() {
        const long before = page->rounds.load();
        return wait_until([&] { return page->rounds.load() > before + 3; });
    }
    bool still_runs() {
        int status = 0;
        const bool runs = waitpid(target_, &status, WNOHANG) == 0;
        if (!runs) target_ = 0;
        return runs && goes_on();
    }

    pid_t target_ = 0;
    std::uint64_t trampoline_ = 0;
    std::uint64_t errno_location_ = 0;
};

TEST_F(traced, a_call_is_made_and_comes_back) {
    for (void (*what)() : {static_cast<void (*)()>(compute_for_ever), sleep_for_ever}) {
        start(what);
        for (int i = 1; i <= 50; ++i) {
            traced_thread thread(target_, target_);
            ASSERT_TRUE(thread.stop(patience)) << std::strerror(errno);
            ASSERT_EQ(thread.call(call_of(count_call), patience), outcome::returned);
            ASSERT_EQ(thread.call(call_of(count_call), patience), outcome::returned);
            ASSERT_EQ(page->calls_ended.load(), 2 * i);
        }
        ASSERT_TRUE(still_runs());
        TearDown();
        SetUp();
    }
}

TEST_F(traced, a_call_gets_its_arguments) {
    start(compute_for_ever);
    traced_thread thread(target_, target_);
    ASSERT_TRUE(thread.stop(patience));
    machine::call what{reinterpret_cast<std::uint64_t>(check_text), "a text of some length", 42,
                       trampoline_};
    ASSERT_EQ(thread.call(what, patience), outcome::returned);
    EXPECT_EQ(page->text_was_right.load(), 1);
}

TEST_F(traced, a_call_that_is_late_comes_back_by_itself) {
    start(compute_for_ever);
    {
        traced_thread thread(target_, target_);
        ASSERT_TRUE(thread.stop(patience));
        ASSERT_EQ(thread.call(call_of(stay), milliseconds(50)), outcome::late);
    }
    EXPECT_EQ(page->calls_begun.load(), 1);
    EXPECT_EQ(page->calls_ended.load(), 0);
    page->let_go.store(1);
    EXPECT_TRUE(wait_until([] { return page->calls_ended.load() == 1; }));
    EXPECT_TRUE(still_runs());
}

TEST_F(traced, a_call_comes_back_when_its_maker_is_dead) {
    start(compute_for_ever);
    const pid_t maker = fork();
    if (maker == 0) {
        traced_thread thread(target_, target_);
        if (!thread.stop(patience)) _exit(2);
        thread.call(call_of(stay), patience);
        _exit(3);
    }
    ASSERT_TRUE(wait_until([] { return page->calls_begun.load() == 1; }));
    kill(maker, SIGKILL);
    int status = 0;
    waitpid(maker, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << status;
    page->let_go.store(1);
    EXPECT_TRUE(wait_until([] { return page->calls_ended.load() == 1; }));
    EXPECT_TRUE(still_runs());
}

TEST_F(traced, errno_is_found) {
    start([] {
        errno = 4711;
        compute_for_ever();
    });
    traced_thread thread(target_, target_);
    ASSERT_TRUE(thread.stop(patience));
    const std::uint64_t at = thread.errno_at(errno_location_);
    ASSERT_NE(at, 0u);
    int value = 0;
    ASSERT_TRUE(thread.read_memory(at, &value, sizeof value));
    EXPECT_EQ(value, 4711);
}

TEST_F(traced, a_stack_is_followed_to_its_beginning) {
    start(compute_for_ever);
    traced_thread thread(target_, target_);
    ASSERT_TRUE(thread.stop(patience));
    const thread_stack stack = unwinder(target_).stack_of(target_);
    EXPECT_TRUE(stack.complete);
    ASSERT_FALSE(stack.frames.empty());
    EXPECT_TRUE(stack.frames[0].interrupted);
    const auto named = [&](const std::string& name) {
        return std::any_of(stack.frames.begin(), stack.frames.end(), [&](const stack_frame& one) {
            return one.function.find(name) != std::string::npos;
        });
    };
    EXPECT_TRUE(named("compute_for_ever"));
    EXPECT_TRUE(named("main"));
}

TEST_F(traced, a_thread_that_is_gone_is_said_to_be) {
    start(compute_for_ever);
    kill(target_, SIGKILL);
    waitpid(target_, nullptr, 0);
    traced_thread thread(target_, target_);
    EXPECT_FALSE(thread.stop(milliseconds(100)));
    EXPECT_EQ(errno, ESRCH);
    target_ = 0;
}

}  // namespace
