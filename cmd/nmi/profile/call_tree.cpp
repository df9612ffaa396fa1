// SPDX-License-Identifier: MIT
//
// Adding up stacks; see call_tree.hpp.
#include <nmi/profile/call_tree.hpp>

#include <algorithm>

namespace nmircu::command {

std::uint32_t call_tree::number_of(const code_place& place) {
    const auto [at, is_new] =
        place_numbers_.try_emplace(place, static_cast<std::uint32_t>(places_.size()));
    if (is_new) places_.push_back(place);
    return at->second;
}

std::uint32_t call_tree::child(std::uint32_t parent, std::uint32_t place) {
    const auto [at, is_new] = children_.try_emplace(std::uint64_t{parent} << 32 | place,
                                                    static_cast<std::uint32_t>(nodes_.size()));
    if (is_new) nodes_.push_back({parent, place, 0});
    return at->second;
}

std::uint32_t call_tree::add(std::uint32_t thread, std::span<const code_place> places,
                             std::uint64_t weight) {
    std::uint32_t at = child(no_node, thread);
    for (auto place = places.rbegin(); place != places.rend(); ++place) {
        at = child(at, number_of(*place));
    }
    add_again(at, weight);
    return at;
}

void call_tree::add_again(std::uint32_t which, std::uint64_t weight) {
    nodes_[which].samples += weight;
    samples_ += weight;
}

void call_tree::reset() {
    for (node& one : nodes_)
        one.samples = 0;
    samples_ = 0;
}

void call_tree::for_each_stack(const visitor& visit) const {
    std::vector<code_place> stack;
    for (const node& leaf : nodes_) {
        if (leaf.samples == 0) continue;
        stack.clear();
        const node* at = &leaf;
        for (; at->parent != no_node; at = &nodes_[at->parent])
            stack.push_back(places_[at->place]);
        std::reverse(stack.begin(), stack.end());
        visit(at->place, stack, leaf.samples);
    }
}

}  // namespace nmircu::command
