// SPDX-License-Identifier: MIT
//
// Whether somebody else could change a file whose code is about to run in a program. Asked of the
// opened file, by the command before it asks the agent, and by the agent itself. Thread context;
// allocates.
#pragma once

#include <string>

namespace nmircu::agent {

// Where an open file really is, all links resolved; empty if /proc does not say.
std::string real_path_of(int file);

// Empty, or a phrase that follows the file's name: it can be written by others than its owner, or
// others may put another file in its place (a folder with the sticky bit is no such folder, and a
// group of root's or of this process is no other).
std::string wrong_with_access(int file);

}  // namespace nmircu::agent
