// SPDX-License-Identifier: MIT
//
// Property: a handler's code and data may be freed after unpublish and grace period, with NMIs
// arriving all the time; and every NMI is accounted for: claimed by exactly one generation, handed
// to the previous owner, or unknown.
//
//   storm callback|chain [--cycles N] [--seconds S] [--threads N] [--hz N] [--rounds N]
//         [--expect-caught]
//
// callback: the documents' protocol (set_nmi_callback, unset_nmi_callback, rcu_synchronize, free).
// chain: nmi_handler add, swap, remove. --expect-caught succeeds only if the storm, run in a child,
// crashes or shows poison to a handler; the program storm_control, which is this one linked against
// an rcu_synchronize that does not wait, is run with it. --rounds says how long a handler lingers.
// NMIRCU_STRESS_SECONDS, if set, replaces the number of cycles by a time.
#include <dlfcn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <nmircu/nmi.hpp>

#include "platform/linux/signal_tag.hpp"
#include "storm_handler.h"
#include "storm_kit.hpp"

namespace {

using nmircu_test::expect_caught;
using nmircu_test::fail;
using nmircu_test::nmis_taken;
using nmircu_test::now_s;

struct options {
    bool chain = false;
    long cycles = 1000;
    double seconds = 1e9;
    int threads = 8;
    long hz = 10'000;
    std::uint64_t rounds = 300;
    bool expect_caught = false;
};

std::uint64_t stale = 0;
std::uint64_t rounds = 0;
std::uint64_t claimed = 0;  // by generations that are gone

// A wall-clock timer that raises an NMI on one thread.
class thread_timer {
  public:
    thread_timer(pid_t tid, long hz) {
        sigevent event = {};
        event.sigev_notify = SIGEV_THREAD_ID;
        event.sigev_signo = nmircu::platform::nmi_signal;
        event.sigev_value.sival_ptr =
            reinterpret_cast<void*>(nmircu::platform::signal_tag(static_cast<unsigned>(tid)));
        event._sigev_un._tid = tid;
        if (timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0) fail("timer_create");
        const timespec period{0, 1'000'000'000 / hz};
        const itimerspec spec{period, period};
        timer_settime(timer_, 0, &spec, nullptr);
    }
    ~thread_timer() { timer_delete(timer_); }
    thread_timer(const thread_timer&) = delete;
    thread_timer& operator=(const thread_timer&) = delete;

  private:
    timer_t timer_ = {};
};

// One loaded copy of the handler, with its data.
class generation {
  public:
    explicit generation(const char* path) : object_(dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
        if (object_ == nullptr) fail(dlerror());
        data_ = new storm_data{STORM_ALIVE, 0, &stale, rounds};
        reinterpret_cast<storm_set_data_t>(dlsym(object_, "storm_set_data"))(data_);
    }
    nmircu::nmi_handler_t handler() const {
        return reinterpret_cast<nmircu::nmi_handler_t>(dlsym(object_, "storm_handler"));
    }
    nmircu::nmi_callback_t callback() const {
        return reinterpret_cast<nmircu::nmi_callback_t>(dlsym(object_, "storm_callback"));
    }
    void* cookie() const { return data_; }
    // Until the first NMI is inside the handler, at best; it may take a few turns of the threads.
    void await_hit() const {
        for (int turn = 0; turn < 1000 && __atomic_load_n(&data_->hits, __ATOMIC_RELAXED) == 0;
             ++turn)
            sched_yield();
    }
    // Nobody may be inside the handler any more.
    void unload() {
        claimed += __atomic_load_n(&data_->hits, __ATOMIC_RELAXED);
        __atomic_store_n(&data_->alive, STORM_POISON, __ATOMIC_RELAXED);
        __atomic_store_n(&data_->hits, STORM_POISON, __ATOMIC_RELAXED);
        delete data_;
        if (dlclose(object_) != 0) fail(dlerror());
    }

  private:
    void* object_;
    storm_data* data_;
};

// The documents' four lines.
void callback_cycle(const char* path) {
    generation one(path);
    nmircu::set_nmi_callback(one.callback());
    one.await_hit();
    nmircu::unset_nmi_callback();
    nmircu::rcu_synchronize();
    one.unload();
}

void chain_cycle(nmircu::nmi_handler& registration) {
    generation one(HANDLER_A);
    if (registration.add(nmircu::nmi_type::local, "storm", one.handler(), one.cookie()) !=
        nmircu::nmi_error::none) {
        fail("add");
    }
    one.await_hit();
    generation two(HANDLER_B);
    if (registration.swap(two.handler(), two.cookie()) != nmircu::nmi_error::none) fail("swap");
    one.unload();
    two.await_hit();
    if (registration.remove() != nmircu::nmi_error::none) fail("remove");
    two.unload();
}

int storm(const options& want) {
    if (nmircu::nmi_attach() != 0) fail("nmi_attach");
    rounds = want.rounds;
    std::atomic<bool> stop{false};
    std::atomic<int> ready{0};
    std::vector<pid_t> tids(unsigned(want.threads));
    std::vector<std::thread> threads;
    for (int i = 0; i < want.threads; ++i) {
        threads.emplace_back([&, i] {
            tids[unsigned(i)] = pid_t(syscall(SYS_gettid));
            // The updater gets its turn among eight threads that never sleep.
            setpriority(PRIO_PROCESS, unsigned(tids[unsigned(i)]), 10);
            ready.fetch_add(1);
            // An atomic in the loop: ThreadSanitizer delivers signals only there.
            while (!stop.load(std::memory_order_acquire)) {
            }
        });
    }
    while (ready.load() != want.threads)
        sched_yield();
    std::vector<std::unique_ptr<thread_timer>> timers;
    for (const pid_t tid : tids)
        timers.push_back(std::make_unique<thread_timer>(tid, want.hz));

    const double start = now_s();
    nmircu::nmi_handler registration;
    long cycle = 0;
    for (; cycle < want.cycles && now_s() - start < want.seconds; ++cycle) {
        if (want.chain) {
            chain_cycle(registration);
        } else {
            callback_cycle(cycle % 2 == 0 ? HANDLER_A : HANDLER_B);
        }
        if (stale != 0) break;
    }
    const double seconds = now_s() - start;

    timers.clear();
    stop.store(true, std::memory_order_release);
    for (auto& thread : threads)
        thread.join();
    const std::uint64_t taken = nmis_taken(), unknown = nmircu::nmi_unknown_count(),
                        forwarded = nmircu::nmi_forwarded_count();
    const auto grace_periods = nmircu::rcu_read_statistics();
    std::printf(
        "storm: %ld cycles in %.1f s, %llu NMIs: %llu claimed, %llu forwarded, %llu unknown; %llu "
        "stale; %llu grace periods, median %llu us, longest %llu us\n",
        cycle, seconds, (unsigned long long)taken, (unsigned long long)claimed,
        (unsigned long long)forwarded, (unsigned long long)unknown, (unsigned long long)stale,
        (unsigned long long)grace_periods.grace_periods,
        (unsigned long long)grace_periods.median_ns / 1000,
        (unsigned long long)grace_periods.longest_ns / 1000);
    if (stale != 0) return 1;
    if (claimed == 0) fail("no NMI reached a handler: nothing was tested");
    if (taken != claimed + forwarded + unknown) fail("the counts do not add up");
    return 0;
}

options parse(int argc, char** argv) {
    options want;
    want.chain = argc > 1 && std::strcmp(argv[1], "chain") == 0;
    for (int i = 2; i < argc; ++i) {
        const std::string name = argv[i];
        if (name == "--expect-caught") {
            want.expect_caught = true;
        } else if (i + 1 < argc) {
            const char* value = argv[++i];
            if (name == "--cycles") want.cycles = std::atol(value);
            if (name == "--seconds") want.seconds = std::atof(value);
            if (name == "--threads") want.threads = std::atoi(value);
            if (name == "--hz") want.hz = std::atol(value);
            if (name == "--rounds") want.rounds = std::strtoull(value, nullptr, 10);
        }
    }
    const char* stress = std::getenv("NMIRCU_STRESS_SECONDS");
    if (stress != nullptr && !want.expect_caught) {
        want.seconds = std::atof(stress);
        want.cycles = 1'000'000'000;
    }
    return want;
}

}  // namespace

int main(int argc, char** argv) {
    const options want = parse(argc, argv);
    if (want.expect_caught) return expect_caught([&] { return storm(want); }, want.seconds + 60);
    return storm(want);
}
