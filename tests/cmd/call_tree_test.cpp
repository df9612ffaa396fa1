// SPDX-License-Identifier: MIT
//
// Property: every sample that is added comes out again under exactly its stack and thread, with its
// whole weight.
#include <nmi/profile/call_tree.hpp>

#include <map>
#include <random>

#include <gtest/gtest.h>

namespace nmircu::command {
namespace {

using places = std::vector<code_place>;

TEST(call_tree, gives_back_what_was_added) {
    std::mt19937 generator(3);
    const auto random = [&] { return static_cast<std::uint32_t>(generator()); };
    std::map<std::pair<std::uint32_t, places>, std::uint64_t> added, found;
    call_tree tree;
    std::uint64_t all = 0;
    for (int i = 0; i < 5000; ++i) {
        places stack(1 + random() % 6);
        for (code_place& place : stack)
            place = {random() % 2, random() % 3};
        const std::uint32_t thread = random() % 3;
        const std::uint32_t weight = 1 + random() % 3, again = random() % 2;
        tree.add_again(tree.add(thread, stack, weight), again);
        added[{thread, {stack.rbegin(), stack.rend()}}] += weight + again;
        all += weight + again;
    }
    tree.for_each_stack(
        [&](std::uint32_t thread, std::span<const code_place> stack, std::uint64_t samples) {
            found[{thread, {stack.begin(), stack.end()}}] += samples;
        });
    EXPECT_EQ(found, added);
    EXPECT_EQ(tree.samples(), all);
}

}  // namespace
}  // namespace nmircu::command
