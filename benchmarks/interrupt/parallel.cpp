// SPDX-License-Identifier: MIT
//
// Several threads in the handler at once. A dispatcher that shares nothing to write between CPUs
// does not slow down for it; one spinlock, or the word of a readers' lock, does.
//
// With the signal the kernel is in the way: a process has one lock for its signals, so that the raw
// handler shows how far anybody can get. Without the signal, each thread on a CPU of its own, what
// is left is the dispatcher. More threads than CPUs add nothing but preemption, in the middle of
// whatever lock is held.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <latch>
#include <numeric>
#include <thread>
#include <vector>

#include "dispatchers.hpp"
#include "rows.hpp"
#include "threads.hpp"

namespace bench {

namespace {

using clock = std::chrono::steady_clock;
using loop = void (*)(const dispatcher& who, std::uint64_t count);

const std::vector<const dispatcher*> everyone{&raw, &nmircu, &profile_handler, &global_rwlock};

struct outcome {
    double per_second;   // all threads together
    double least_share;  // the slowest thread's, of an even share
};

// Batches until the time is over; returns how many dispatches.
std::uint64_t batches_until(clock::time_point end, const dispatcher& who, loop what) {
    constexpr std::uint64_t batch = 256;
    std::uint64_t done = 0;
    for (; clock::now() < end; done += batch)
        what(who, batch);
    return done;
}

outcome together(unsigned threads, const dispatcher& who, loop what, double seconds) {
    std::vector<std::uint64_t> done(threads);
    std::vector<std::jthread> all;
    std::latch ready(threads), go(1);
    clock::time_point start, end;
    for (unsigned i = 0; i < threads; ++i) {
        all.emplace_back([&, i] {
            stay_on_cpu(static_cast<int>(i));
            what(who, 1);
            ready.count_down();
            go.wait();
            done[i] = batches_until(end, who, what);
        });
    }
    ready.wait();
    start = clock::now();
    end =
        start + std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(seconds));
    go.count_down();
    all.clear();
    const std::chrono::duration<double> spent = clock::now() - start;
    const double sum = double(std::accumulate(done.begin(), done.end(), std::uint64_t{0}));
    const double least = double(*std::min_element(done.begin(), done.end()));
    return {sum / spent.count(), least * threads / sum};
}

// Long enough for every thread to have its turns.
double seconds_for(const table& to, unsigned threads) {
    return (to.quick() ? 0.005 : 0.01) * threads;
}

void run_throughput(table& to, const std::string& name, unsigned threads, loop what) {
    row out{name, "per second", better::more, {}, profile_handler.name};
    const double seconds = seconds_for(to, threads);
    for (const dispatcher* who : everyone) {
        out.contestants.push_back(
            {who->name, [=](double) { return together(threads, *who, what, seconds).per_second; }});
    }
    to.run(out);
}

// Two rounds that follow each other, so that the machine is as fast in both.
void run_scaling(table& to, const std::string& name, unsigned threads, loop what, double least) {
    row out{name, "times 1 thread", better::more, {}, raw.name};
    const double seconds = seconds_for(to, threads);
    for (const dispatcher* who : everyone) {
        out.contestants.push_back(
            {who->name, [=](double) {
                 const double one = together(1, *who, what, seconds).per_second;
                 return together(threads, *who, what, seconds).per_second / one;
             }});
        if (who == &nmircu) out.contestants.back().goal = {least, raw.name};
    }
    to.run(out);
}

std::string threads_name(const char* what, unsigned threads) {
    return std::string(what) + ", " + std::to_string(threads) +
           (threads == 1 ? " thread" : " threads");
}

void run_fairness(table& to, unsigned threads) {
    row out{threads_name("signal to self: the slowest thread's share", threads),
            "of an even share",
            better::more,
            {},
            {}};
    const double seconds = seconds_for(to, threads);
    for (const dispatcher* who : everyone) {
        out.contestants.push_back(
            {who->name,
             [=](double) { return together(threads, *who, raise_signals, seconds).least_share; }});
    }
    to.run(out);
}

}  // namespace

void run_parallel(table& to) {
    const installed_dispatchers now;
    for (const unsigned threads : {1u, 2u, 4u, 8u})
        run_throughput(to, threads_name("signal to self", threads), threads, raise_signals);
    run_scaling(to, "signal to self, 2 threads over 1", 2, raise_signals, 0.95);
    run_fairness(to, 8);
    for (const unsigned threads : {1u, 2u}) {
        run_throughput(to, threads_name("handler path without the signal", threads), threads,
                       call_signal_handler);
    }
    run_scaling(to, "handler path without the signal, 2 threads over 1", 2, call_signal_handler,
                0.95);
}

}  // namespace bench
