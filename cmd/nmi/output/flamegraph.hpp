// SPDX-License-Identifier: MIT
//
// A flame graph as one SVG file that needs nothing else: open it in a browser, hover, click to
// zoom, search. Without scripts it is still a readable picture. Equal profiles give equal files.
#pragma once

#include <cstdint>
#include <string>

#include <nmi/output/stacks.hpp>

namespace nmircu::command {

struct flame_heading {
    std::string command;
    std::string subtitle;  // samples, rate, what was lost
};

std::string flamegraph(const stack_counts& stacks, const flame_heading& heading);

// Style and script of the file; flamegraph_script.cpp.
extern const char* const flamegraph_style;
extern const char* const flamegraph_script;

}  // namespace nmircu::command
