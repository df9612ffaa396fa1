// SPDX-License-Identifier: MIT
//
// A child has one thread and copies of whatever the others were in the middle of. It torments what
// it has for a moment and exits with a verdict.
#include "forks.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <mutex>
#include <thread>

#include "interrupts.hpp"
#include "readers.hpp"
#include "structure.hpp"
#include "updaters.hpp"

namespace torture {

namespace {

// A child that takes longer hangs.
constexpr unsigned most_seconds = 60;
constexpr unsigned enough_grace_periods = 20;

template <std::size_t N>
unsigned any_of(const std::bitset<N>& set, dice& chance) {
    for (;;) {
        const unsigned one = chance.below(N);
        if (set[one]) return one;
    }
}

bool enough(reader kind, updater how) {
    return tally.failed() ||
           (tally.grace_periods(sync) >= enough_grace_periods &&
            tally.grace_periods(how) >= enough_grace_periods && reads_of(tally.pipe(kind)) > 0);
}

int torment_child(const options& want, dice& chance) {
    const auto kind = reader(any_of(want.kinds, chance));
    const auto how = updater(any_of(want.updaters, chance));
    std::thread reading([&] { run_reader(kind, dice(chance.roll())); });
    std::thread waiting([] { run_updater(sync, dice(1)); });
    std::thread updating([&] { run_updater(how, dice(1)); });
    while (!enough(kind, how)) {
        retire_one(retire);
        nmircu::rcu_barrier();
    }
    stage.end();
    reading.join();
    waiting.join();
    updating.join();
    nmircu::rcu_barrier();
    return tally.failed() ? failure : success;
}

// Every other fork is inside a section, of which parent and child each have to leave their own.
pid_t fork_somewhere(dice& chance) {
    if (chance.below(2) == 0) return fork();
    std::scoped_lock section(nmircu::rcu_default_domain());
    const look seen;
    const pid_t child = fork();
    if (child == 0) tally.forget();
    seen.done(plain);
    return child;
}

void begin_child() {
    alarm(most_seconds);
    stage.begin_again();
    forget_enrolled();
    tally.forget();
}

void judge(int status) {
    const bool well = WIFEXITED(status) && WEXITSTATUS(status) == success;
    tally.child(well);
    if (WIFSIGNALED(status)) {
        std::fprintf(stderr, "rcu_torture: a forked child was killed by signal %d\n",
                     WTERMSIG(status));
    } else if (!well) {
        std::fprintf(stderr, "rcu_torture: a forked child exits with status %d\n",
                     WEXITSTATUS(status));
    }
}

}  // namespace

void run_forks(const options& want, dice chance) {
    while (stage.goes_on()) {
        const pid_t child = fork_somewhere(chance);
        if (child == 0) {
            const bool failed = tally.failed();
            begin_child();
            _exit(failed ? failure : torment_child(want, chance));
        }
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) != child) {
            std::fputs("rcu_torture: cannot fork, or await the child\n", stderr);
            tally.child(false);
            return;
        }
        judge(status);
    }
}

}  // namespace torture
