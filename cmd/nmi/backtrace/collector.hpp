// SPDX-License-Identifier: MIT
//
// Asks every thread of a program where it is: loads the module `backtrace`, has the agent raise an
// NMI on each thread, gathers the answers and why others do not come, unloads the module again.
// Thread context; waits for nobody longer than `timeout`, and for the agent as any request does.
#pragma once

#include <string>

#include <nmi/backtrace/dump.hpp>
#include <nmi/target/client.hpp>

namespace nmircu::command {

// `attempt` opens every complaint.
process_dump collect(client& agent, int pid, milliseconds timeout, const std::string& attempt);

}  // namespace nmircu::command
