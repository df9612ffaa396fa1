// SPDX-License-Identifier: MIT
//
// What the command's exit status means; docs/nmi.md and `nmi --help` say the same.
#pragma once

namespace nmircu::command {

inline constexpr int exit_ok = 0;
inline constexpr int exit_error = 1;             // what was asked for could not be done
inline constexpr int exit_usage = 2;             // the command line makes no sense
inline constexpr int exit_refused = 3;           // no agent can be put into that process
inline constexpr int exit_not_executable = 126;  // as the shell: PROGRAM cannot be executed
inline constexpr int exit_not_found = 127;       // as the shell: there is no PROGRAM
inline constexpr int exit_signal_base = 128;     // plus the signal that ended PROGRAM

}  // namespace nmircu::command
