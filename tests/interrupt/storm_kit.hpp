// SPDX-License-Identifier: MIT
//
// What the programs that update handlers under a storm of NMIs have in common.
#pragma once

#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <csignal>
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

// Ends the program at once: other threads may still be using what its destructors would free.
[[noreturn]] inline void fail(const std::string& what) {
    std::fprintf(stderr, "FAILURE: %s\n", what.c_str());
    std::fflush(stdout);
    std::_Exit(1);
}

inline std::uint64_t nmis_taken() {
    std::uint64_t sum = 0;
    for (int cpu = 0; cpu < int(nmircu::detail::max_cpus); ++cpu)
        sum += nmircu::nmi_count(cpu);
    return sum;
}

struct what_it_said {
    bool anything = false;
    bool to_the_end = false;
};

// Passes on what comes out of the pipe until it ends, or for so long.
inline what_it_said pass_on(int pipe, double seconds) {
    what_it_said said;
    const double deadline = now_s() + seconds;
    for (double left = seconds; left > 0 && !said.to_the_end; left = deadline - now_s()) {
        pollfd readable{pipe, POLLIN, 0};
        if (poll(&readable, 1, int(left * 1000) + 1) <= 0) continue;
        char bytes[4096];
        const ssize_t got = read(pipe, bytes, sizeof bytes);
        said.to_the_end = got <= 0;
        if (got <= 0) continue;
        said.anything = true;
        std::fwrite(bytes, 1, std::size_t(got), stderr);
    }
    return said;
}

// A control, in which the program's protection is missing: it must crash, or notice. Returns the
// program's exit status. A sanitizer's report of the crash may wait for ever for a lock that some
// other thread holds: then what it has said so far is what counts.
template <class Program>
int expect_caught(Program program, double most_seconds) {
    int said[2];
    if (pipe(said) != 0) fail("pipe");
    const pid_t child = fork();
    if (child == 0) {
        // A crash is expected: no core file.
        const rlimit none{0, 0};
        setrlimit(RLIMIT_CORE, &none);
        dup2(said[1], STDERR_FILENO);
        close(said[0]);
        close(said[1]);
        std::_Exit(program());
    }
    close(said[1]);
    const what_it_said output = pass_on(said[0], most_seconds);
    close(said[0]);
    if (!output.to_the_end) {
        kill(child, SIGKILL);
        if (!output.anything) fail("the control hung, and nothing noticed");
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
