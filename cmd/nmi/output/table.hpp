// SPDX-License-Identifier: MIT
//
// The table in the manner of /proc/interrupts: a row per handler, a column per CPU.
#pragma once

#include <string>

#include <nmi/target/status_reply.hpp>

namespace nmircu::command {

// What a table is compared with; without a status: nothing.
struct earlier_status {
    const program_status* status = nullptr;
    double seconds = 0;  // ago
};

// Several lines, each ended; columns only for CPUs on which anything happened. With an earlier
// status a column says how much came in a second since.
std::string interrupt_table(const program_status& status, const earlier_status& before = {});

// The threads that are not interrupted and why, a line each; empty if there are none.
std::string unreachable_table(const program_status& status);

// One line on what raises the interrupts, and why it is not perf if it is not.
std::string source_text(const source_line& source);

}  // namespace nmircu::command
