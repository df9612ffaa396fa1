// SPDX-License-Identifier: MIT
//
// The table in the manner of /proc/interrupts: a row per handler, a column per CPU.
#pragma once

#include <string>

#include <nmi/target/status_reply.hpp>

namespace nmircu::command {

// Several lines, each ended; columns only for CPUs on which anything happened.
std::string interrupt_table(const program_status& status);

// One line on what raises the interrupts, and why it is not perf if it is not.
std::string source_text(const source_line& source);

}  // namespace nmircu::command
