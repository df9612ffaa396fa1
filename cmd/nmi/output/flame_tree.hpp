// SPDX-License-Identifier: MIT
//
// Stacks merged from the outside in: the boxes of a flame graph and where they lie, in samples and
// levels. How they are drawn is flamegraph.cpp's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nmi/output/stacks.hpp>

namespace nmircu::command {

struct flame_box {
    function_name name;
    std::uint64_t left;        // samples to the left of it
    std::uint64_t samples;     // its width
    std::uint32_t level;       // 0: everything
    std::uint64_t before = 0;  // how many of them are of the first of two profiles
};

// Parents before children, left to right. At most `most` boxes: where there are more, the narrowest
// are left out.
std::vector<flame_box> flame_boxes(const stack_counts& stacks, std::size_t most);

// Of two profiles, each as a share of its own total, in parts of share_parts: a box is as wide as
// the sum of both, and `before` is the first's. A function is the same one if its name and the file
// name of its object are.
inline constexpr std::uint64_t share_parts = 1'000'000'000;
std::vector<flame_box> flame_boxes(const stack_counts& before, const stack_counts& after,
                                   std::size_t most);

}  // namespace nmircu::command
