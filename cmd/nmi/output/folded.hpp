// SPDX-License-Identifier: MIT
//
// Folded stacks: one line per stack, "thread;outer;...;leaf count", as flame-graph tools read them.
#pragma once

#include <string>

#include <nmi/output/stacks.hpp>

namespace nmircu::command {

std::string folded(const stack_counts& stacks);

// A line that no tool takes for a stack, because no number stands at its end: "# lost records: 0 ·
// ... (nmi)". Empty without a note.
std::string folded_note(const std::string& note);

}  // namespace nmircu::command
