// SPDX-License-Identifier: MIT
//
// Putting the agent into a running process: one of its threads, at a moment when that is safe, is
// made to load it and to enter it. All other threads run on meanwhile. Thread context.
#pragma once

#include <string>

#include <nmi/attach/process_facts.hpp>

namespace nmircu::command {

// Returns once the agent has been entered; its socket follows. Fails (exit_error) if no thread
// comes to a safe moment within ten seconds, or if the dynamic loader or the agent refuses. SIGINT
// and its like wait meanwhile. Requires check_target.
void inject(const attach_target& target, const std::string& attempt);

}  // namespace nmircu::command
