// SPDX-License-Identifier: MIT
//
// Several programs at a glance: what `nmi status` shows without a PID.
#pragma once

#include <string>
#include <vector>

#include <nmi/output/status_json.hpp>
#include <nmi/target/status_reply.hpp>

namespace nmircu::command {

// A line per program, with what came in a second if `before`, a list taken `seconds` ago, knows it.
std::string agent_list(const std::vector<program_status>& agents,
                       const std::vector<silent_agent>& silent,
                       const std::vector<program_status>& before, double seconds);

}  // namespace nmircu::command
