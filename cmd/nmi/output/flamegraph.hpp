// SPDX-License-Identifier: MIT
//
// A flame graph as one SVG file that needs nothing else: open it in a browser, hover, click to
// zoom, search. Without scripts it is still a readable picture. As an HTML file it is the same
// drawing. Equal profiles give equal files.
#pragma once

#include <cstdint>
#include <string>

#include <nmi/output/stacks.hpp>

namespace nmircu::command {

struct flame_heading {
    std::string command;
    std::string subtitle;  // samples, rate
    std::string notes{};   // what was lost; at the foot, in lines
    std::string unit = "samples";
};

std::string flamegraph(const stack_counts& stacks, const flame_heading& heading);

// The differences of two profiles, each normalised by its own total: what grew is red, what shrank
// blue. A box is as wide as the mean of its two shares, so that what has gone is seen as well.
std::string differential_flamegraph(const stack_counts& before, const stack_counts& after,
                                    const flame_heading& heading);

// An HTML document around an SVG of the functions above.
std::string html_page(const std::string& svg, const std::string& title);

// Style and script of the file; flamegraph_script.cpp.
extern const char* const flamegraph_style;
extern const char* const flamegraph_script;

}  // namespace nmircu::command
