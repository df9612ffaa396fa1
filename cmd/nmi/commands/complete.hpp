// SPDX-License-Identifier: MIT
//
// What may follow on a command line, for shells: `nmi __complete WORD...`, the last word being the
// one that is written. Taken from the definition of the command line itself, so that the two agree.
#pragma once

#include <string>
#include <vector>

namespace nmircu::command {

struct command_line;

// Prints a candidate a line; the line ":files" means names of files.
int complete(command_line& line, const std::vector<std::string>& words);

}  // namespace nmircu::command
