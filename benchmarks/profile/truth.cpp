// SPDX-License-Identifier: MIT
//
// truth SCENARIO SECONDS FILE: a program whose split over functions is known, because each measures
// its own CPU time; it is written to FILE, a line "spin<N> nanoseconds" each, at the end.
//
//   functions  one thread, three functions: 70, 20 and 10 per cent, in slices of random length
//   threads    16 threads, each with a function of its own, the last with 16 times the first's load
//   brief      threads that live for 0.4, 2 and 8 ms, one after the other, and the one that makes
//   them blocked    half of the time in a loop that blocks every signal
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "work.hpp"

namespace {

using namespace bench_profile;
constexpr std::uint64_t microsecond = 1000;

std::uint64_t wall_ns() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(now.tv_nsec);
}

// Not in step with any timer.
std::uint64_t about(std::uint64_t ns) {
    static thread_local std::minstd_rand random(12345);
    return std::uniform_int_distribution<std::uint64_t>(ns / 2, ns * 3 / 2)(random);
}

void functions(std::uint64_t end_ns) {
    while (wall_ns() < end_ns) {
        spin<0>(about(7000 * microsecond));
        spin<1>(about(2000 * microsecond));
        spin<2>(about(1000 * microsecond));
    }
}

// Works for its part of each turn and sleeps for the rest.
template <unsigned Number>
void unequal(std::uint64_t end_ns) {
    while (wall_ns() < end_ns) {
        spin<Number>(about((Number + 1) * 200 * microsecond));
        const std::uint64_t pause_ns = about(20000 * microsecond);
        const timespec pause{0, static_cast<long>(pause_ns)};
        nanosleep(&pause, nullptr);
    }
}

template <unsigned... Numbers>
void start_unequal(std::uint64_t end_ns, std::integer_sequence<unsigned, Numbers...>) {
    std::vector<std::thread> all;
    (all.emplace_back(unequal<Numbers>, end_ns), ...);
    for (std::thread& one : all)
        one.join();
}

void threads(std::uint64_t end_ns) {
    start_unequal(end_ns, std::make_integer_sequence<unsigned, 16>());
}

void brief(std::uint64_t end_ns) {
    while (wall_ns() < end_ns) {
        for (int i = 0; i < 5; ++i)
            std::thread([] { spin<0>(about(400 * microsecond)); }).join();
        std::thread([] { spin<1>(about(2000 * microsecond)); }).join();
        std::thread([] { spin<2>(about(8000 * microsecond)); }).join();
        spin<3>(about(4000 * microsecond));
    }
}

void blocked(std::uint64_t end_ns) {
    sigset_t all, before;
    sigfillset(&all);
    while (wall_ns() < end_ns) {
        pthread_sigmask(SIG_SETMASK, &all, &before);
        spin<0>(about(5000 * microsecond));
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        spin<1>(about(5000 * microsecond));
    }
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 4) return 2;
    const std::pair<const char*, void (*)(std::uint64_t)> scenarios[] = {
        {"functions", functions}, {"threads", threads}, {"brief", brief}, {"blocked", blocked}};
    for (const auto& [name, run] : scenarios) {
        if (std::strcmp(name, arguments[1]) != 0) continue;
        run(wall_ns() + std::strtoull(arguments[2], nullptr, 10) * 1'000'000'000);
    }
    std::FILE* const file = std::fopen(arguments[3], "w");
    if (file == nullptr) return 1;
    for (unsigned number = 0; number < 32; ++number) {
        const auto ns = spent_ns[number].load(std::memory_order_relaxed);  // all have been joined
        if (ns != 0)
            std::fprintf(file, "spin<%u> %llu\n", number, static_cast<unsigned long long>(ns));
    }
    return std::fclose(file) == 0 ? 0 : 1;
}
