// SPDX-License-Identifier: MIT
//
// Stacks into boxes; see flame_tree.hpp.
#include <nmi/output/flame_tree.hpp>

#include <algorithm>
#include <functional>
#include <map>

namespace nmircu::command {
namespace {

struct weight {
    std::uint64_t samples = 0;
    std::uint64_t before = 0;
};
using weighted_stacks = std::map<std::vector<function_name>, weight>;

// The stacks are sorted, so stacks with a common beginning are neighbours: a box grows as long as
// the next stack goes through it.
std::vector<flame_box> all_boxes(const weighted_stacks& stacks) {
    std::vector<flame_box> boxes{{{"all", {}}, 0, 0, 0}};
    std::vector<std::size_t> open{0};  // by level, the box the last stack went through
    for (const auto& [stack, weight] : stacks) {
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
        for (const std::size_t box : open) {
            boxes[box].samples += weight.samples;
            boxes[box].before += weight.before;
        }
    }
    return boxes;
}

std::vector<flame_box> widest(std::vector<flame_box> boxes, std::size_t most) {
    if (boxes.size() <= most) return boxes;
    // A child is never wider than its parent, so nothing is left without what it stands on.
    std::vector<std::uint64_t> widths;
    for (const flame_box& box : boxes)
        widths.push_back(box.samples);
    const auto limit = widths.begin() + static_cast<std::ptrdiff_t>(most);
    std::nth_element(widths.begin(), limit, widths.end(), std::greater<>());
    const std::uint64_t narrow = *limit;
    std::erase_if(boxes, [&](const flame_box& box) { return box.samples <= narrow; });
    return boxes;
}

std::uint64_t share(std::uint64_t samples, std::uint64_t all) {
    return static_cast<std::uint64_t>(static_cast<double>(samples) / static_cast<double>(all) *
                                          static_cast<double>(share_parts) +
                                      0.5);
}

}  // namespace

std::vector<flame_box> flame_boxes(const stack_counts& stacks, std::size_t most) {
    weighted_stacks weighted;
    for (const auto& [stack, samples] : stacks)
        weighted[stack].samples = samples;
    return widest(all_boxes(weighted), most);
}

std::vector<flame_box> flame_boxes(const stack_counts& before, const stack_counts& after,
                                   std::size_t most) {
    weighted_stacks weighted;
    const std::uint64_t all_before = sum(before), all_after = sum(after);
    for (const auto& [stack, samples] : before) {
        weight& both = weighted[stack];
        both.before = share(samples, all_before);
        both.samples = both.before;
    }
    for (const auto& [stack, samples] : after)
        weighted[stack].samples += share(samples, all_after);
    return widest(all_boxes(weighted), most);
}

}  // namespace nmircu::command
