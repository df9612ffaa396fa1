// SPDX-License-Identifier: MIT
//
// What the programs that update handlers under a storm of NMIs have in common.
#pragma once

#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <nmircu/nmi.hpp>

namespace nmircu_test {

inline double now_s() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return double(now.tv_sec) + double(now.tv_nsec) / 1e9;
}

[[noreturn]] inline void fail(const std::string& what) {
    std::fprintf(stderr, "FAILURE: %s\n", what.c_str());
    std::exit(1);
}

inline std::uint64_t nmis_taken() {
    std::uint64_t sum = 0;
    for (int cpu = 0; cpu < int(nmircu::detail::max_cpus); ++cpu)
        sum += nmircu::nmi_count(cpu);
    return sum;
}

// A control, in which the program's protection is missing: it must crash, or notice. Returns the
// program's exit status.
template <class Program>
int expect_caught(Program program) {
    const pid_t child = fork();
    if (child == 0) {
        // A crash is expected: no core file.
        const rlimit none{0, 0};
        setrlimit(RLIMIT_CORE, &none);
        std::_Exit(program());
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child) fail("waitpid");
    if (WIFSIGNALED(status)) {
        std::printf("without a grace period: killed by signal %d, as it must be\n",
                    WTERMSIG(status));
        return 0;
    }
    if (WEXITSTATUS(status) != 0) {
        std::printf("without a grace period: caught (exit %d), as it must be\n",
                    WEXITSTATUS(status));
        return 0;
    }
    fail("the control ran without a grace period and nothing noticed");
}

}  // namespace nmircu_test
