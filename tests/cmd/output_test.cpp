// SPDX-License-Identifier: MIT
//
// Property: numbers and names come out as people and other tools expect them, and a file is written
// completely or not at all.
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nmi/complaint.hpp>
#include <nmi/output/folded.hpp>
#include <nmi/output/hot_table.hpp>
#include <nmi/output/numbers.hpp>
#include <nmi/output/output_file.hpp>
#include <nmi/output/xml.hpp>

namespace nmircu::command {
namespace {

namespace fs = std::filesystem;

TEST(numbers, are_grouped) {
    EXPECT_EQ(grouped(0), "0");
    EXPECT_EQ(grouped(999), "999");
    EXPECT_EQ(grouped(1000), "1,000");
    EXPECT_EQ(grouped(1234567), "1,234,567");
    EXPECT_EQ(grouped(~0ull), "18,446,744,073,709,551,615");
}

TEST(numbers, durations_have_three_digits_and_a_unit) {
    EXPECT_EQ(duration(0), "0 ns");
    EXPECT_EQ(duration(999), "999 ns");
    EXPECT_EQ(duration(1240), "1.24 µs");
    EXPECT_EQ(duration(45100), "45.1 µs");
    EXPECT_EQ(duration(999999), "1.00 ms");
    EXPECT_EQ(duration(2e9), "2.00 s");
    EXPECT_EQ(duration(3.6e12), "3600 s");
}

TEST(numbers, percent_of_nothing_is_nothing) {
    EXPECT_EQ(percent(0, 0), "0.00%");
    EXPECT_EQ(percent(1, 3), "33.33%");
}

TEST(numbers, padding_counts_characters_not_bytes) {
    EXPECT_EQ(pad_left("µs", 4), "  µs");
    EXPECT_EQ(pad_right("µs", 4), "µs  ");
    EXPECT_EQ(pad_left("long", 2), "long");
}

TEST(xml, escapes_markup_and_replaces_what_is_no_text) {
    EXPECT_EQ(xml_text("a<b>&\"c\""), "a&lt;b&gt;&amp;&quot;c&quot;");
    EXPECT_EQ(xml_text("µ…😀"), "µ…😀");
    EXPECT_EQ(xml_text("\x01\x1b\xff\xc3"), "????");
    EXPECT_EQ(xml_text("\xc0\x80"), "??");            // overlong
    EXPECT_EQ(xml_text("\xed\xa0\x80"), "???");       // a surrogate
    EXPECT_EQ(xml_text("\xef\xbf\xbf"), "???");       // no character
    EXPECT_EQ(xml_text("\xf4\x90\x80\x80"), "????");  // beyond the last
}

TEST(folded, is_one_line_per_stack_and_keeps_the_separator_free) {
    const stack_counts stacks{{{{"xz", {}}, {"main", "xz"}, {"a;b\nc", "xz"}}, 3},
                              {{{"xz", {}}, {"main", "xz"}}, 1}};
    EXPECT_EQ(folded(stacks), "xz;main 1\nxz;main;a:b c 3\n");
}

TEST(hot_table, shows_the_hottest_and_cuts_long_names) {
    const std::vector<hot_function> functions{{{std::string(300, 'f'), "libx.so"}, 60, 80},
                                              {{"libx.so+0x40", "libx.so"}, 40, 40},
                                              {{"main", "xz"}, 0, 100}};
    const std::string table = hot_table(functions, 100, 20, 80);
    EXPECT_NE(table.find("60.00%         60    80.00%  fff"), std::string::npos) << table;
    EXPECT_NE(table.find("…  libx.so\n"), std::string::npos) << table;
    EXPECT_NE(table.find("libx.so+0x40\n"), std::string::npos) << table;
    EXPECT_EQ(table.find("main"), std::string::npos) << table;  // never interrupted itself
    EXPECT_EQ(hot_table({}, 0, 20, 80), "");
}

struct output_file : testing::Test {
    output_file() {
        char name[] = "/tmp/nmi-output-test-XXXXXX";
        folder = mkdtemp(name);
    }
    ~output_file() override { fs::remove_all(folder); }
    static std::string contents(const std::string& path) {
        std::ifstream file(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    std::size_t files() const {
        return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), {}));
    }
    std::string folder;
};

TEST_F(output_file, replaces_what_was_there_and_leaves_nothing_else) {
    const std::string path = folder + "/a.svg";
    ASSERT_EQ(cannot_write(path), "");
    EXPECT_EQ(write_file(path, "first, and longer"), "");
    EXPECT_EQ(write_file(path, "second"), "");
    EXPECT_EQ(contents(path), "second");
    EXPECT_EQ(files(), 1u);
}

TEST_F(output_file, goes_through_symbolic_links) {
    fs::create_symlink(folder + "/real", folder + "/link");
    std::ofstream(folder + "/real") << "old";
    EXPECT_EQ(write_file(folder + "/link", "new"), "");
    EXPECT_TRUE(fs::is_symlink(folder + "/link"));
    EXPECT_EQ(contents(folder + "/real"), "new");
}

TEST_F(output_file, a_device_is_written_to_not_replaced) {
    EXPECT_EQ(cannot_write("/dev/null"), "");
    EXPECT_EQ(write_file("/dev/null", "x"), "");
    struct stat found;
    ASSERT_EQ(stat("/dev/null", &found), 0);
    EXPECT_TRUE(S_ISCHR(found.st_mode));
    EXPECT_NE(write_file("/dev/full", "x"), "");
}

TEST_F(output_file, says_before_what_would_fail_later) {
    EXPECT_NE(cannot_write(folder), "");
    EXPECT_NE(cannot_write(folder + "/none/a"), "");
    EXPECT_NE(write_file(folder + "/none/a", "x"), "");
    EXPECT_EQ(files(), 0u);
}

TEST(one_line, has_no_control_characters) {
    EXPECT_EQ(one_line("a\nb\tc\033[1m\x7f"), "a b c [1m ");
}

}  // namespace
}  // namespace nmircu::command
