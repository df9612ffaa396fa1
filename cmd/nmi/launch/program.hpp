// SPDX-License-Identifier: MIT
//
// PROGRAM as given to `nmi run`: which file that is, and whether an agent can be preloaded into it,
// found out before anything is started.
#pragma once

#include <string>
#include <vector>

namespace nmircu::command {

struct program {
    std::string path;                    // what to execute
    std::vector<std::string> arguments;  // argv, [0] included
};

// Finds the program as the shell would. `#!/usr/bin/env NAME` is resolved to NAME here, because env
// would start NAME without the agent. Fails with exit_not_found, exit_not_executable, or, where
// preloading cannot work (statically linked, another dynamic loader, setuid, setgid or file
// capabilities), exit_error.
program find_program(const std::vector<std::string>& words);

}  // namespace nmircu::command
