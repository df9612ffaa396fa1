// SPDX-License-Identifier: MIT
//
// Work with a known name and a known cost: spin<N> is one function per N that computes until its
// thread has used so much CPU time, and keeps the sum. What a profiler says is compared with it.
// The clock is read so rarely that it does not count.
#pragma once

#include <atomic>
#include <cstdint>

#include <time.h>

namespace bench_profile {

inline std::uint64_t thread_cpu_ns() {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(now.tv_nsec);
}

inline std::atomic<std::uint64_t> spent_ns[32];

// The compiler must not see that all of these are the same.
template <unsigned Number>
[[gnu::noinline]] void spin(std::uint64_t ns) {
    const std::uint64_t begin = thread_cpu_ns();
    std::uint64_t now = begin;
    std::uint64_t state = Number + 1;
    while (now - begin < ns) {
        for (unsigned i = 0; i < 20000; ++i) {
            state = state * 6364136223846793005ull + Number;
            asm volatile("" : "+r"(state));
        }
        now = thread_cpu_ns();
    }
    // Relaxed: read when all threads have been joined.
    spent_ns[Number].fetch_add(now - begin, std::memory_order_relaxed);
}

}  // namespace bench_profile
