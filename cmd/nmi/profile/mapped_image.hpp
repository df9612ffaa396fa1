// SPDX-License-Identifier: MIT
//
// The file that a program has mapped: itself, or else the same build of it, or else a copy of what
// is in the program's memory. Never another file that took its place. Thread context.
#pragma once

#include <string>
#include <vector>

#include <nmi/unique_fd.hpp>

namespace nmircu::command {

struct mapping;

struct opened_image {
    unique_fd file;         // none: it cannot be had
    bool replaced = false;  // at its path there is something else
};

// `all` is what is mapped beside `line`.
opened_image open_image(int pid, const mapping& line, const std::vector<mapping>& all);

}  // namespace nmircu::command
