// SPDX-License-Identifier: MIT
//
// Property: the boxes of a flame graph cover exactly the samples, children lie within their parents
// and side by side, and the file is well-formed whatever the names are.
#include <nmi/output/flamegraph.hpp>

#include <cstdio>
#include <random>

#include <gtest/gtest.h>

#include <nmi/output/flame_tree.hpp>

namespace nmircu::command {
namespace {

using stack = std::vector<function_name>;

stack named(const std::vector<std::string>& names) {
    stack frames;
    for (const std::string& name : names)
        frames.push_back({name, {}});
    return frames;
}

std::string outline(const std::vector<flame_box>& boxes) {
    std::string text;
    for (const flame_box& box : boxes) {
        text += std::string(box.level, ' ') + box.name.function + " " + std::to_string(box.left) +
                "+" + std::to_string(box.samples) + "\n";
    }
    return text;
}

TEST(flame_boxes, merge_common_beginnings) {
    const stack_counts stacks{{named({"t", "a", "b"}), 3},
                              {named({"t", "a"}), 2},
                              {named({"t", "a", "c"}), 1},
                              {named({"t", "d"}), 4},
                              {named({"u", "a", "b"}), 5}};
    EXPECT_EQ(outline(flame_boxes(stacks, 100)),
              "all 0+15\n"
              " t 0+10\n"
              "  a 0+6\n"
              "   b 2+3\n"
              "   c 5+1\n"
              "  d 6+4\n"
              " u 10+5\n"
              "  a 10+5\n"
              "   b 10+5\n");
}

TEST(flame_boxes, of_nothing_are_one_empty_box) {
    EXPECT_EQ(outline(flame_boxes({}, 10)), "all 0+0\n");
}

TEST(flame_boxes, children_lie_inside_their_parents_and_apart) {
    std::mt19937 random(11);
    stack_counts stacks;
    std::uint64_t total = 0;
    for (int i = 0; i < 3000; ++i) {
        std::vector<std::string> names(1 + random() % 7);
        for (std::string& name : names)
            name = std::string(1, static_cast<char>('a' + random() % 4));
        const std::uint64_t samples = 1 + random() % 9;
        stacks[named(names)] += samples;
        total += samples;
    }
    const std::vector<flame_box> boxes = flame_boxes(stacks, 100000);
    EXPECT_EQ(boxes[0].samples, total);
    std::vector<flame_box> open;
    for (const flame_box& box : boxes) {
        std::uint64_t sibling_end = 0;
        while (!open.empty() && open.back().level >= box.level) {
            if (open.back().level == box.level)
                sibling_end = open.back().left + open.back().samples;
            open.pop_back();
        }
        ASSERT_GE(box.left, sibling_end);
        if (!open.empty()) {
            ASSERT_GE(box.left, open.back().left);
            ASSERT_LE(box.left + box.samples, open.back().left + open.back().samples);
            ASSERT_EQ(box.level, open.back().level + 1);
        }
        open.push_back(box);
    }
}

TEST(flame_boxes, too_many_lose_the_narrowest_and_no_parent) {
    stack_counts stacks;
    for (int i = 0; i < 1000; ++i) {
        stacks[named({"t", std::to_string(i), "leaf"})] = static_cast<std::uint64_t>(1 + i);
    }
    const std::vector<flame_box> boxes = flame_boxes(stacks, 200);
    EXPECT_LE(boxes.size(), 200u);
    EXPECT_GE(boxes.size(), 190u);
    EXPECT_EQ(boxes[0].samples, 500500u);
    for (std::size_t i = 1; i < boxes.size(); ++i)
        EXPECT_LE(boxes[i].level, boxes[i - 1].level + 1);
}

TEST(flamegraph, equal_profiles_give_equal_files) {
    const stack_counts stacks{{named({"t", "a"}), 3}};
    EXPECT_EQ(flamegraph(stacks, {"c", "s"}), flamegraph(stacks, {"c", "s"}));
}

TEST(flamegraph, is_well_formed_whatever_the_names) {
    stack_counts stacks{{{{"<t>&\"\xff", {}}, {"operator<<(a&, b)", "lib\x01<>.so"}}, 7},
                        {{{"]]>", {}}, {"<!-- -->", "&"}, {"µ…", "x"}}, 2}};
    const std::string svg = flamegraph(stacks, {"cmd <x> & \"y\"", "sub ]]> \xc0"});
    const std::string path = testing::TempDir() + "nmi-flamegraph-test.svg";
    std::FILE* file = std::fopen(path.c_str(), "w");
    ASSERT_NE(file, nullptr);
    std::fwrite(svg.data(), 1, svg.size(), file);
    std::fclose(file);
    const std::string parse =
        "python3 -c 'import sys, xml.dom.minidom as m; d = m.parse(sys.argv[1]); "
        "sys.exit(len(d.getElementsByTagName(\"title\")) != 6)' " +
        path;
    EXPECT_EQ(std::system(parse.c_str()), 0);
    std::remove(path.c_str());
}

}  // namespace
}  // namespace nmircu::command
