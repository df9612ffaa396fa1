// SPDX-License-Identifier: MIT
//
// Property: no reader, wherever it reads, sees an element that a whole grace period has passed for
// since it was taken out of the structure; and no second grace period ends beside an open section.
//
// A torture in the manner of the kernel's rcutorture: readers and updaters of every kind at once,
// and a histogram of how old the elements were that the readers saw. rcu_torture --help.
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>
#include <vector>

#include "breakage.hpp"
#include "cpus.hpp"
#include "forks.hpp"
#include "interrupts.hpp"
#include "readers.hpp"
#include "report.hpp"
#include "structure.hpp"
#include "updaters.hpp"

namespace torture {

namespace {

// How much longer than asked for it may take until everything has happened, on a busy machine.
constexpr double grace_seconds = 60;
// After the end, before it counts as hung.
constexpr unsigned join_seconds = 120;

constexpr auto tick = std::chrono::milliseconds(10);
constexpr int ticks_per_stutter = 10, ticks_per_status = 100;

class stopwatch {
  public:
    double seconds() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    }

  private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

void say_that_it_hangs(int) {
    constexpr char line[] = "rcu_torture: FAILURE: threads do not end\n";
    [[maybe_unused]] const ssize_t ignored = write(STDOUT_FILENO, line, sizeof(line) - 1);
    _exit(failure);
}

// A store buffer hides a count from other CPUs only: readers and updaters apart.
void take_sides(const options& want, bool reads) {
    if (want.broken != breakage::no_barrier) return;
    const std::vector<unsigned> cpus = allowed_cpus();
    move_to(reads ? cpus.back() : cpus.front());
}

std::vector<std::thread> start_threads(const options& want) {
    std::vector<std::thread> threads;
    std::uint64_t seed = want.seed << 16;
    for (unsigned kind = 0; kind < reader_kinds; ++kind) {
        for (unsigned i = 0; want.kinds[kind] && i < want.readers; ++i) {
            threads.emplace_back([=] {
                take_sides(want, true);
                run_reader(reader(kind), dice(seed));
            });
            ++seed;
        }
    }
    for (unsigned kind = 0; kind < updater_kinds; ++kind) {
        for (unsigned i = 0; want.updaters[kind] && i < want.writers; ++i) {
            threads.emplace_back([=] {
                take_sides(want, false);
                run_updater(updater(kind), dice(seed));
            });
            ++seed;
        }
    }
    if (want.forks) threads.emplace_back([=] { run_forks(want, dice(seed)); });
    return threads;
}

bool is_over(const options& want, double seconds) {
    if (want.broken != breakage::none && tally.failed()) return true;
    if (seconds < want.seconds) return false;
    return seconds > want.seconds + grace_seconds || tally.failed() || everything_happened(want);
}

void direct(const options& want, const stopwatch& watch) {
    for (int ticks = 1; !is_over(want, watch.seconds()); ++ticks) {
        std::this_thread::sleep_for(tick);
        if (want.stutter) stage.pause(ticks / ticks_per_stutter % 2 != 0);
        if (ticks % ticks_per_status == 0) print_status(watch.seconds());
    }
}

int torture(const options& want) {
    current.assign(take());
    prepare_dying();
    install_handlers(want);
    print_header(want);
    const stopwatch watch;
    std::vector<std::thread> threads = start_threads(want);
    direct(want, watch);
    stage.end();
    std::signal(SIGALRM, say_that_it_hangs);
    alarm(join_seconds);
    for (std::thread& thread : threads)
        thread.join();
    remove_handlers();
    nmircu::rcu_barrier();
    alarm(0);
    return print_verdict(want, watch.seconds());
}

}  // namespace

}  // namespace torture

int main(int argc, char** argv) {
    const torture::options want = torture::parse(argc, argv);
    torture::break_it(want, argv);
    return torture::torture(want);
}
