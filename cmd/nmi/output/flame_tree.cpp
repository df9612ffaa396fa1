// SPDX-License-Identifier: MIT
//
// Stacks into boxes; see flame_tree.hpp.
#include <nmi/output/flame_tree.hpp>

#include <algorithm>
#include <functional>

namespace nmircu::command {
namespace {

// The stacks are sorted, so stacks with a common beginning are neighbours: a box grows as long as
// the next stack goes through it.
std::vector<flame_box> all_boxes(const stack_counts& stacks) {
    std::vector<flame_box> boxes{{{"all", {}}, 0, 0, 0}};
    std::vector<std::size_t> open{0};  // by level, the box the last stack went through
    for (const auto& [stack, samples] : stacks) {
        const std::uint64_t left = boxes[0].samples;
        std::size_t level = 0;
        while (level < stack.size() && level + 1 < open.size() &&
               boxes[open[level + 1]].name == stack[level]) {
            ++level;
        }
        open.resize(level + 1);
        for (; level < stack.size(); ++level) {
            open.push_back(boxes.size());
            boxes.push_back({stack[level], left, 0, static_cast<std::uint32_t>(level + 1)});
        }
        for (const std::size_t box : open)
            boxes[box].samples += samples;
    }
    return boxes;
}

}  // namespace

std::vector<flame_box> flame_boxes(const stack_counts& stacks, std::size_t most) {
    std::vector<flame_box> boxes = all_boxes(stacks);
    if (boxes.size() <= most) return boxes;
    // A child is never wider than its parent, so nothing is left without what it stands on.
    std::vector<std::uint64_t> widths;
    for (const flame_box& box : boxes)
        widths.push_back(box.samples);
    const auto limit = widths.begin() + static_cast<std::ptrdiff_t>(most);
    std::nth_element(widths.begin(), limit, widths.end(), std::greater<>());
    std::erase_if(boxes, [&](const flame_box& box) { return box.samples <= *limit; });
    return boxes;
}

}  // namespace nmircu::command
