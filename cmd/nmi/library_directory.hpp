// SPDX-License-Identifier: MIT
//
// Where the files this command hands to programs are: the agent and the modules. Looked for in
// $NMI_LIBRARY_DIR if set (and then nowhere else), in the install layout around this executable,
// and in the build tree around it.
#pragma once

#include <string>
#include <vector>

namespace nmircu::command {

// The absolute path of `name` ("nmi-agent.so", "modules/profiler.so"); empty if it is nowhere.
std::string find_library(const std::string& name);

// Names of the modules that can be found, sorted, once each.
std::vector<std::string> known_modules();

// The agent. Fails (exit_error) if there is none or its path cannot stand in LD_PRELOAD.
std::string find_agent(const std::string& attempt);

}  // namespace nmircu::command
