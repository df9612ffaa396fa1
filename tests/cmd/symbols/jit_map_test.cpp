// SPDX-License-Identifier: MIT
//
// Property: functions that a program tells of in /tmp/perf-PID.map name its code, what was said
// last counts, and nobody but the program's user is listened to.
#include <nmi/profile/jit_map.hpp>

#include <fstream>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nmi/symbols/symbolizer.hpp>

namespace nmircu::command {
namespace {

std::string name_at(const jit_map& map, std::uint64_t address) {
    const std::string* name = map.find(address);
    return name != nullptr ? *name : "";
}

TEST(jit_map, knows_the_functions_of_its_lines) {
    jit_map map(0);
    map.add("1000 10 first\n0x2000 20 LazyCompile:~second with spaces\n3000 8 un");
    map.add("finished\n");
    EXPECT_EQ(name_at(map, 0x1000), "first");
    EXPECT_EQ(name_at(map, 0x100f), "first");
    EXPECT_EQ(name_at(map, 0x1010), "");
    EXPECT_EQ(name_at(map, 0xfff), "");
    EXPECT_EQ(name_at(map, 0x201f), "LazyCompile:~second with spaces");
    EXPECT_EQ(name_at(map, 0x3000), "unfinished");
}

TEST(jit_map, what_was_said_last_counts) {
    jit_map map(0);
    map.add("1000 10 a\n1010 10 b\n1020 10 c\n1018 10 new\n");
    EXPECT_EQ(name_at(map, 0x1000), "a");
    EXPECT_EQ(name_at(map, 0x1010), "");  // its room was taken
    EXPECT_EQ(name_at(map, 0x101f), "new");
    EXPECT_EQ(name_at(map, 0x102f), "");
    map.add("1000 1000 all\n");
    EXPECT_EQ(name_at(map, 0x1020), "all");
    EXPECT_EQ(map.size(), 1u);
}

TEST(jit_map, garbage_is_passed_over) {
    jit_map map(0);
    map.add("\n \nxyz\n1000\n1000 10\n1000 10 \n1000 0 none\nffffffffffffffff 10 wraps\n-1 4 x\n");
    map.add(std::string(5 << 20, 'a') + "\n1000 4 " + std::string(1 << 20, 'n') +
            "\n2000 4 good\n");
    EXPECT_EQ(name_at(map, 0x2000), "good");
    EXPECT_LE(name_at(map, 0x1000).size(), jit_map::longest_name);
    EXPECT_EQ(map.size(), 2u);
}

struct jit_file : testing::Test {
    jit_file() {
        code = mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        begin = reinterpret_cast<std::uint64_t>(code);
        unlink(path.c_str());
    }
    ~jit_file() override {
        unlink(path.c_str());
        munmap(code, 4096);
    }
    void tell(const std::string& text) { std::ofstream(path, std::ios::app) << text; }
    std::string name() {
        memory_map map(getpid());
        map.refresh();
        symbolizer names(map);
        return names.name(map.find(begin + 8)).function;
    }
    std::string path = fmt::format("/tmp/perf-{}.map", getpid());
    void* code;
    std::uint64_t begin;
};

TEST_F(jit_file, names_code_without_a_file) {
    // Two such regions side by side are one: it begins at or before ours.
    EXPECT_TRUE(name().starts_with("[anon 0x")) << name();
    tell(fmt::format("{:x} 1000 compiled\n", begin));
    EXPECT_EQ(name(), "compiled");
}

TEST_F(jit_file, is_read_on_where_it_grew_and_again_if_it_is_new) {
    tell(fmt::format("{:x} 1000 one\n", begin));
    jit_map map(getpid());
    map.refresh();
    EXPECT_EQ(name_at(map, begin), "one");
    tell(fmt::format("{:x} 1000 two\n", begin));
    map.refresh();
    EXPECT_EQ(name_at(map, begin), "two");
    std::ofstream(path) << fmt::format("{:x} 10 three\n", begin);
    map.refresh();
    EXPECT_EQ(name_at(map, begin), "three");
}

TEST_F(jit_file, of_somebody_else_is_ignored) {
    tell(fmt::format("{:x} 1000 foreign\n", begin));
    if (chown(path.c_str(), 65534, 65534) != 0) GTEST_SKIP() << "only root can give files away";
    EXPECT_TRUE(name().starts_with("[anon 0x")) << name();
}

TEST_F(jit_file, that_is_a_link_or_no_file_is_ignored) {
    const std::string real = path + ".real";
    std::ofstream(real) << fmt::format("{:x} 1000 linked\n", begin);
    ASSERT_EQ(symlink(real.c_str(), path.c_str()), 0);
    EXPECT_TRUE(name().starts_with("[anon 0x")) << name();
    unlink(real.c_str());
    unlink(path.c_str());
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    EXPECT_TRUE(name().starts_with("[anon 0x")) << name();
}

}  // namespace
}  // namespace nmircu::command
