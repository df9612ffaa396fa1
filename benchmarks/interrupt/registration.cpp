// SPDX-License-Identifier: MIT
//
// How long registering and unregistering takes while two threads take the interrupt in a loop. Ours
// waits for a grace period where an old chain must be gone; the locks wait for whoever is in the
// handler; sigaction waits for nobody and promises nothing.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <latch>
#include <thread>
#include <utility>
#include <vector>

#include "dispatchers.hpp"
#include "rows.hpp"
#include "threads.hpp"

namespace bench {

namespace {

using clock = std::chrono::steady_clock;

enum class operation { add, remove, swap };

constexpr unsigned storm_threads = 2;

// Microseconds of one call.
double timed(void (*function)()) {
    const auto start = clock::now();
    function();
    return std::chrono::duration<double, std::micro>(clock::now() - start).count();
}

double sample(const registration& who, operation what) {
    switch (what) {
        case operation::swap:
            return timed(who.swap);
        case operation::add: {
            const double result = timed(who.add);
            who.remove();
            return result;
        }
        case operation::remove:
            break;
    }
    who.add();
    return timed(who.remove);
}

// Takes signals while it exists; every thread has taken some when the constructor returns.
class storm {
  public:
    explicit storm(const dispatcher& who) {
        for (unsigned i = 0; i < storm_threads; ++i) {
            threads_.emplace_back([this, &who, i](std::stop_token over) {
                stay_on_cpu(static_cast<int>(i));
                raise_signals(who, 64);
                ready_.count_down();
                while (!over.stop_requested()) {
                    raise_signals(who, 4);
                    // Relaxed: says only that the thread is running.
                    if (i == 1) taken_.fetch_add(4, std::memory_order_relaxed);
                }
            });
        }
        ready_.wait();
    }

    // Until the thread on the other CPU has just taken some: it is running, and likely to go on.
    // Otherwise most samples would be of the moments when it is not, since those are the fast ones.
    void wait_for_more() {
        const std::uint64_t before = taken_.load(std::memory_order_relaxed);  // as above
        while (taken_.load(std::memory_order_relaxed) == before) {
        }
    }

  private:
    std::atomic<std::uint64_t> taken_{0};
    std::latch ready_{storm_threads};
    std::vector<std::jthread> threads_;
};

template <class Sample>
round_function percentile(double fraction, const dispatcher& storm_of, double seconds, Sample one) {
    return [=, &storm_of](double) {
        stay_on_cpu(0);
        storm now(storm_of);
        std::vector<double> samples;
        const auto end = clock::now() + std::chrono::duration<double>(seconds);
        while (clock::now() < end || samples.size() < 100) {
            now.wait_for_more();
            samples.push_back(one());
        }
        stay_on_cpu(-1);
        const auto at =
            samples.begin() + static_cast<std::ptrdiff_t>(fraction * double(samples.size() - 1));
        std::nth_element(samples.begin(), at, samples.end());
        return *at;
    };
}

contestant one_of(const registration& who, operation what, double fraction, double seconds) {
    const bool swaps = what == operation::swap;
    return {who.name, [=, &who](double round_seconds) {
                if (swaps) who.add();
                const double result = percentile(fraction, who.of, seconds,
                                                 [&] { return sample(who, what); })(round_seconds);
                if (swaps) who.remove();
                return result;
            }};
}

}  // namespace

void run_registration(table& to) {
    const installed_dispatchers now;
    const double seconds = to.quick() ? 0.02 : 0.05;
    const struct {
        const char* name;
        operation what;
    } operations[]{{"add a handler", operation::add},
                   {"swap a handler", operation::swap},
                   {"remove a handler", operation::remove}};
    for (const auto& [name, what] : operations) {
        for (const auto& [percent, fraction] : {std::pair{"p50", 0.5}, std::pair{"p99", 0.99}}) {
            row out{std::string(name) + " while 2 threads take the interrupt, " + percent,
                    "us",
                    better::less,
                    {},
                    global_rwlock_registration.name};
            out.contestants.push_back(one_of(nmircu_registration, what, fraction, seconds));
            out.contestants.push_back(one_of(global_rwlock_registration, what, fraction, seconds));
            if (what == operation::swap) {
                out.contestants.push_back(
                    {"mutex + sigaction, waits for nobody",
                     percentile(fraction, raw, seconds, [] { return timed(swap_raw); })});
            } else {
                out.contestants.push_back(
                    one_of(profile_handler_registration, what, fraction, seconds));
            }
            to.run(out);
        }
    }
}

}  // namespace bench
