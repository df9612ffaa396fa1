// SPDX-License-Identifier: MIT
//
// Taking the agent out of a program: for nmi detach, and for verbs that have put it in themselves.
#pragma once

#include <string>

#include <nmi/target/client.hpp>

namespace nmircu::command {

// Returns, when its threads have ended, what the agent said. Fails (exit_error) if it does not go.
message leave(client& agent, int pid, const std::string& attempt);

}  // namespace nmircu::command
