// SPDX-License-Identifier: MIT
//
// A program's status for scripts. Times in nanoseconds; keys are only ever added.
#pragma once

#include <string>

#include <nmi/target/status_reply.hpp>

namespace nmircu::command {

std::string status_json(const program_status& status);

}  // namespace nmircu::command
