// SPDX-License-Identifier: MIT
//
// What /proc says about a process, and whether an agent could be put into it: all of it looked up,
// nothing touched. Thread context.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nmircu::command {

struct process_facts {
    int pid = 0;
    int inner_pid = 0;  // as the process itself knows it, in its own PID namespace
    unsigned uid = 0;   // effective
    unsigned gid = 0;
    char state = 0;  // R, S, D, T, t, Z
    int tracer = 0;
    int process = 0;  // whose thread this is, if it is not a process
    bool has_shadow_stack = false;
    std::string root;  // before its paths to make them ours; empty: they are
};

// Every thread that existed during the whole call, and perhaps some that did not; ascending.
std::vector<int> threads_of(int pid);

// Fails (exit_error) if there is no such process.
process_facts facts_of(int pid, const std::string& attempt);

enum class seccomp_filters : std::uint8_t { refuse, trust };

// What an agent finds there.
struct attach_target {
    process_facts facts;
    std::string agent;            // path of the agent to be loaded, or that is there
    bool has_agent_code = false;  // from an earlier attach
};

// Fails (exit_refused) with the reason if no agent can be put into the process. `agent`: the file.
attach_target check_target(int pid, const std::string& agent, seccomp_filters filters,
                           const std::string& attempt);

}  // namespace nmircu::command
