// SPDX-License-Identifier: MIT
//
// no-barrier: the library runs unchanged, but the kernel's process-wide barrier does nothing and
// says that it did. no-wait: the same program, linked so that waiting for a grace period returns at
// once (no_wait.cpp). early-free: elements grow old before the grace period.
#include "breakage.hpp"

#include <seccomp.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "cpus.hpp"
#include "rcu/engine.hpp"
#include "updaters.hpp"

// Defined in the program that does not wait.
extern "C" [[gnu::weak]] const bool rcu_torture_does_not_wait;

namespace torture {

namespace {

[[noreturn]] void give_up(int status, const char* why) {
    std::fprintf(stderr, "rcu_torture: %s\n", why);
    std::exit(status);
}

void omit_barriers() {
    if (allowed_cpus().size() < 2) give_up(skipped, "SKIPPED: no-barrier needs two CPUs");
    // Relaxed: the engine has started.
    if (!nmircu::rcu::engine.asymmetric.load(std::memory_order_relaxed)) {
        give_up(skipped, "SKIPPED: no-barrier needs membarrier, which this process does not use");
    }
    const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == nullptr ||
        seccomp_rule_add(filter, SCMP_ACT_ERRNO(0), SCMP_SYS(membarrier), 0) != 0 ||
        seccomp_load(filter) != 0) {
        give_up(bad_usage, "no-barrier: cannot install a seccomp filter");
    }
    seccomp_release(filter);
}

void execute_without_waiting(char** argv) {
    if (&rcu_torture_does_not_wait != nullptr) return;
    execv(NO_WAIT_PROGRAM, argv);
    give_up(bad_usage,
            "no-wait: cannot execute " NO_WAIT_PROGRAM "; build the target of that name");
}

}  // namespace

void break_it(const options& want, char** argv) {
    switch (want.broken) {
        case breakage::none:
            return;
        case breakage::no_barrier:
            return omit_barriers();
        case breakage::no_wait:
            return execute_without_waiting(argv);
        case breakage::early_free:
            return free_early();
        case breakage::relaxed_scan:
            give_up(skipped,
                    "SKIPPED: relaxed-scan: x86 does not reorder loads, so a scan of relaxed loads "
                    "is not weaker there, and nothing is built for other CPUs; see models/");
    }
}

}  // namespace torture
