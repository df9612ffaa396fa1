// SPDX-License-Identifier: MIT
//
// From a handler to a thread: deferred work beside what a signal handler does without it, a write
// to an eventfd or a pipe that a thread reads, or sem_post. Each sample is one interrupt, taken
// when the thread has gone back to sleep, so that the wake-up is in all of them; the clock is read
// in the handler and again as the thread's first act.
#include "deferred.hpp"

#include <semaphore.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <thread>

#include <nmircu/deferred.hpp>
#include <nmircu/nmi.hpp>

namespace {

using bench::better;

std::uint64_t now_ns() {
    timespec time;
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return std::uint64_t(time.tv_sec) * 1'000'000'000 + std::uint64_t(time.tv_nsec);
}

[[noreturn]] void give_up(const char* what) {
    std::fprintf(stderr, "error: %s\n", what);
    std::exit(1);
}

std::atomic<std::uint64_t> asked_ns{0}, began_ns{0};

void begin() {
    began_ns.store(now_ns(), std::memory_order_release);
}

// One way out of a handler. `ask` is called in it.
struct way_out {
    virtual ~way_out() = default;
    virtual void ask() = 0;
};

struct by_deferred_work final : way_out {
    by_deferred_work() {
        if (!nmircu::deferred_start()) give_up("deferred_start failed");
    }
    void ask() override { work.queue(); }
    nmircu::deferred_function<void (*)()> work{begin};
};

// A thread of the program's that waits in a system call.
struct by_descriptor final : way_out {
    by_descriptor(int read_end, int write_end) : from(read_end), to(write_end) {
        if (from < 0 || to < 0) give_up("no descriptor");
        thread = std::thread([this] {
            std::uint64_t word = 0;
            while (::read(from, &word, sizeof word) == sizeof word && word != last)
                begin();
        });
    }
    ~by_descriptor() override {
        send(last);
        thread.join();
        ::close(from);
        if (to != from) ::close(to);
    }
    void ask() override { send(1); }
    void send(std::uint64_t word) const {
        if (::write(to, &word, sizeof word) != sizeof word) give_up("write failed");
    }
    static constexpr std::uint64_t last = 2;
    int from, to;
    std::thread thread;
};

struct by_semaphore final : way_out {
    by_semaphore() {
        ::sem_init(&semaphore, 0, 0);
        thread = std::thread([this] {
            for (;;) {
                while (::sem_wait(&semaphore) != 0) {
                }
                if (over.load(std::memory_order_relaxed)) return;
                begin();
            }
        });
    }
    ~by_semaphore() override {
        over.store(true, std::memory_order_relaxed);
        ::sem_post(&semaphore);
        thread.join();
        ::sem_destroy(&semaphore);
    }
    void ask() override { ::sem_post(&semaphore); }
    sem_t semaphore;
    std::atomic<bool> over{false};
    std::thread thread;
};

using make_way_out = std::unique_ptr<way_out> (*)();

std::unique_ptr<way_out> deferred_work() {
    return std::make_unique<by_deferred_work>();
}
std::unique_ptr<way_out> eventfd_write() {
    const int file = ::eventfd(0, EFD_CLOEXEC);
    return std::make_unique<by_descriptor>(file, file);
}
std::unique_ptr<way_out> pipe_write() {
    int ends[2] = {-1, -1};
    if (::pipe(ends) != 0) give_up("pipe failed");
    return std::make_unique<by_descriptor>(ends[0], ends[1]);
}
std::unique_ptr<way_out> semaphore_post() {
    return std::make_unique<by_semaphore>();
}

// One interrupt; nanoseconds from its handler to the thread's first act.
double sample() {
    began_ns.store(0, std::memory_order_relaxed);
    if (nmircu::nmi_raise_self() != 0) give_up("nmi_raise_self failed");
    std::uint64_t began = 0;
    while ((began = began_ns.load(std::memory_order_acquire)) == 0)
        ::sched_yield();
    return double(began) - double(asked_ns.load(std::memory_order_relaxed));
}

// Waits until the thread sleeps again, most likely: what follows the sample is a few instructions.
void let_it_sleep() {
    const timespec nap{0, 50'000};
    ::nanosleep(&nap, nullptr);
}

// That share of the samples is below the result.
bench::round_function latency(make_way_out make, double share) {
    return [make, share](double) {
        const std::unique_ptr<way_out> way = make();
        auto asks = [&](nmircu::pt_regs&, int) {
            asked_ns.store(now_ns(), std::memory_order_relaxed);
            way->ask();
            return 1;
        };
        nmircu::nmi_handler handler;
        if (handler.add(nmircu::nmi_type::local, "asks", asks) != nmircu::nmi_error::none) {
            give_up("a handler could not be added");
        }
        std::vector<double> samples(200);
        for (double& each : samples) {
            let_it_sleep();
            each = sample();
        }
        const auto at =
            samples.begin() + static_cast<std::ptrdiff_t>(share * double(samples.size()));
        std::nth_element(samples.begin(), at, samples.end());
        return *at;
    };
}

void run_latency(bench::table& table, const char* name, double share) {
    const std::string peer = "eventfd, blocked read";
    table.run({name,
               "ns",
               better::less,
               {{"deferred work", latency(deferred_work, share), bench::goal{1, peer}},
                {peer, latency(eventfd_write, share)},
                {"pipe, blocked read", latency(pipe_write, share)},
                {"sem_post, sem_wait", latency(semaphore_post, share)}},
               peer});
}

}  // namespace

void run_deferred_work(bench::table& table) {
    run_latency(table, "NMI to deferred work, p50", 0.50);
    run_latency(table, "NMI to deferred work, p99", 0.99);
}
