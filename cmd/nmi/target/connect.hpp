// SPDX-License-Identifier: MIT
//
// From a process number to a connection with the agent inside it.
#pragma once

#include <string>

#include <nmi/attach/process_facts.hpp>
#include <nmi/target/client.hpp>

namespace nmircu::command {

// How long an agent may take for what it does at once, and for what waits for a module's init or a
// grace period.
inline constexpr milliseconds quick_deadline{5000};
inline constexpr milliseconds slow_deadline{30000};
// For an agent that has just been entered to listen.
inline constexpr milliseconds attach_deadline{10000};

// A connection to whoever listens at `path`; none: nobody does, or he is busy for too long.
unique_fd open_socket(const std::string& path);

// Connects and says hello. `attempt` opens every message: "load profiler into 1234". Fails
// (exit_error) if there is no such process, it is somebody else's, or has no agent.
client connect_to(int pid, const std::string& attempt);

// The same; if there is no agent, one is put into the process first. Fails (exit_refused) if that
// cannot be done, before anything is touched. `attached`, if not null, tells whether one was put
// in.
client connect_or_attach(int pid, seccomp_filters filters, const std::string& attempt,
                         bool* attached = nullptr);

// What the reply brought, or fails (exit_error) with what it says.
message expect_ok(reply answer, const std::string& attempt);

}  // namespace nmircu::command
