// SPDX-License-Identifier: MIT
//
// What `nmi record` and `nmi top` have in common before they begin: a program that runs, the
// profiler in it, and its records for us alone.
#pragma once

#include <string>

#include <nmi/commands/options.hpp>
#include <nmi/commands/session.hpp>

namespace nmircu::command {

// Whether an agent was put into the program by us, and is to be taken out again.
enum class agent_origin { was_there, is_ours };

struct connected {
    client connection;
    agent_origin origin;
};

// To the agent of process `pid`, which is put there if there is none. Fails if a profiler is loaded
// there already, or (exit_refused) if no agent can be put there.
connected connect_for_recording(int pid, seccomp_filters filters, const std::string& attempt);

// As long as handlers of others are loaded there, the source that runs for them is ours, too.
source_options shared_source(source_options wanted, client& connection, const std::string& attempt);

// The agent goes again, if it is ours and nobody has loaded anything since. A line on stderr says
// so if that fails.
void leave_program(client& connection, agent_origin origin, const std::string& attempt);

}  // namespace nmircu::command
