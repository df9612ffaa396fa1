// SPDX-License-Identifier: MIT
//
// Starting the program with the agent preloaded, and what became of it.
#pragma once

#include <csignal>
#include <string>

#include <sys/types.h>

#include <nmi/launch/program.hpp>
#include <nmi/unique_fd.hpp>

namespace nmircu::command {

struct child {
    pid_t pid = -1;
    unique_fd channel;  // our end of the agent's socket
};

// What this process changed about signals and the program must not inherit.
struct inherited_signals {
    sigset_t mask;
    struct sigaction child_ended;
};

// Starts `what` with `agent` preloaded before anything else the environment preloads, in our
// process group. Fails (exit_not_found, exit_not_executable) if it cannot be executed after all;
// then no process is left. `follow`: where its children are to connect; empty: they are not
// entered.
child start(const program& what, const std::string& agent, const inherited_signals& signals,
            const std::string& follow = "");

// The status the shell would report: the program's own, or 128 plus the signal that ended it.
int shell_status(int wait_status);

}  // namespace nmircu::command
