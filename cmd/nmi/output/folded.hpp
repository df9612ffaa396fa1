// SPDX-License-Identifier: MIT
//
// Folded stacks: one line per stack, "thread;outer;...;leaf count", as flame-graph tools read them.
#pragma once

#include <string>

#include <nmi/output/stacks.hpp>

namespace nmircu::command {

std::string folded(const stack_counts& stacks);

}  // namespace nmircu::command
