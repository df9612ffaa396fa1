// SPDX-License-Identifier: MIT
//
// A program's status for scripts, as docs/nmi.md lists its keys. Times in nanoseconds; keys are
// only ever added.
#pragma once

#include <string>
#include <vector>

#include <nmi/target/status_reply.hpp>

namespace nmircu::command {

// For people, or one line to be read line by line.
enum class json_layout : std::uint8_t { indented, line };

std::string status_json(const program_status& status, json_layout layout = json_layout::indented);

// An agent that does not answer.
struct silent_agent {
    int pid = 0;
    std::string socket;
    std::string why;
};

// Those that answered, and those that did not.
std::string agents_json(const std::vector<program_status>& agents,
                        const std::vector<silent_agent>& silent, json_layout layout);

}  // namespace nmircu::command
