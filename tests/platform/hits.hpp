// SPDX-License-Identifier: MIT
//
// What the tests of interrupt sources share: a handler that counts the interrupts of each thread,
// loops that burn CPU time until something is seen, and threads that do so. The loops contain an
// atomic operation, without which ThreadSanitizer would hold signals back for ever.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <ctime>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nmircu/nmi.hpp>

#include "platform/linux/sources.hpp"

namespace test {

using namespace nmircu::platform;  // NOLINT: the tests' own header

inline constinit thread_local std::atomic<std::uint64_t> hits_here{0};
inline constinit std::atomic<std::uint64_t> hits_everywhere{0};

inline int count_hit(void*, nmircu::pt_regs*, int) {
    hits_here.fetch_add(1, std::memory_order_relaxed);        // a statistic
    hits_everywhere.fetch_add(1, std::memory_order_relaxed);  // a statistic
    return 1;
}

inline std::uint64_t total() {
    return hits_everywhere.load(std::memory_order_relaxed);  // a statistic
}

inline int thread_id() {
    return static_cast<int>(::syscall(SYS_gettid));
}

// A hang is reported by whoever waits; nothing else depends on this number.
inline constexpr std::uint64_t patience_ns = 20'000'000'000;

inline std::uint64_t cpu_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u +
           static_cast<std::uint64_t>(now.tv_nsec);
}

// Runs until `done()`, mostly in user code; false if patience ends first.
template <class Done>
[[nodiscard]] bool burn_until(Done done) {
    const std::uint64_t end = cpu_ns() + patience_ns;
    std::atomic<unsigned> work{0};
    while (!done()) {
        for (int i = 0; i < 20000; ++i)
            work.fetch_add(1, std::memory_order_relaxed);  // just work
        if (cpu_ns() > end) return false;
    }
    return true;
}

// True as soon as this thread has taken `more` interrupts more.
[[nodiscard]] inline bool burn_until_hit(std::uint64_t more = 3) {
    // Relaxed: only this thread's own signals write it.
    const std::uint64_t goal = hits_here.load(std::memory_order_relaxed) + more;
    return burn_until([&] { return hits_here.load(std::memory_order_relaxed) >= goal; });
}

inline void burn_ms(std::uint64_t milliseconds) {
    const std::uint64_t end = cpu_ns() + milliseconds * 1'000'000;
    (void)burn_until([&] { return cpu_ns() >= end; });
}

// Interrupts that this thread takes while it burns `milliseconds`.
inline std::uint64_t hits_in_ms(std::uint64_t milliseconds) {
    const std::uint64_t before = hits_here.load(std::memory_order_relaxed);  // own thread
    burn_ms(milliseconds);
    return hits_here.load(std::memory_order_relaxed) - before;  // own thread
}

// Why `thread` is listed as unreachable; empty: it is not.
inline std::string reason_for(const source_status& status, int thread) {
    for (const unreachable_thread& each : status.unreachable)
        if (each.thread_id == thread) return each.reason;
    return "";
}

// A flag that one thread sets and others wait for.
class signpost {
  public:
    // [TH-1] release: what the setter did comes before the flag. Partner: [TH-2].
    // Weakened: the waiter misses it.
    void set() { flag_.store(true, std::memory_order_release); }
    // [TH-2] acquire: see [TH-1].
    [[nodiscard]] bool is_set() const { return flag_.load(std::memory_order_acquire); }
    void wait() const {
        while (!is_set())
            std::this_thread::yield();
    }

  private:
    std::atomic<bool> flag_{false};
};

// Counts hits for its life, and stops whatever source a failed test left running.
class counting : public ::testing::Test {
  protected:
    counting() {
        EXPECT_EQ(nmircu::nmi_error::none,
                  handler_.add(nmircu::nmi_type::local, "count_hit", count_hit, nullptr));
    }
    ~counting() override { stop_source(); }

    static std::string start(source_kind kind, std::uint32_t rate_hz = 1000, int excluded = 0) {
        source_settings settings;
        settings.kind = kind;
        settings.rate_hz = rate_hz;
        return start_source(settings, excluded);
    }

  private:
    nmircu::nmi_handler handler_;
};

}  // namespace test
