// SPDX-License-Identifier: MIT
//
// What `nmi record` and `nmi top` have in common before they begin: a program that runs, the
// profiler in it, and its records for us alone.
#pragma once

#include <exception>
#include <string>
#include <utility>

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

// A program has one source: what is loaded without wishes of its own takes the one that runs.
source_options shared_source(source_options wanted, client& connection, const std::string& attempt);

// The agent goes again, if it is ours and nobody has loaded anything since. A line on stderr says
// so if that fails.
void leave_program(client& connection, int pid, agent_origin origin, const std::string& attempt);

// The same if a complaint ends its scope; declare it before the session.
class leave_on_failure {
  public:
    leave_on_failure(int pid, agent_origin origin, std::string attempt)
        : pid_(pid), origin_(origin), attempt_(std::move(attempt)) {}
    ~leave_on_failure();
    leave_on_failure(const leave_on_failure&) = delete;
    leave_on_failure& operator=(const leave_on_failure&) = delete;

  private:
    int pid_;
    agent_origin origin_;
    std::string attempt_;
    int exceptions_ = std::uncaught_exceptions();
};

}  // namespace nmircu::command
