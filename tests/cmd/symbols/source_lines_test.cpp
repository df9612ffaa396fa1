// SPDX-License-Identifier: MIT
//
// Property: a place has the file and line it was written on and the functions that were inlined
// there, with the lines of their calls; without debug information it has at least its function.
#include <nmi/symbols/source_lines.hpp>

#include "object.hpp"

namespace nmircu::command {
namespace {

using test::one_object;
const unsigned innermost_line = 10, middle_line = 14, outer_line = 17;  // of probe/lined.cpp

void expect_the_chain(const std::vector<line_in_source>& lines) {
    ASSERT_EQ(lines.size(), 3u);
    EXPECT_EQ(lines[0].function, "int lined::innermost<int>(int)");
    EXPECT_EQ(lines[1].function, "lined::middle(int)");
    EXPECT_EQ(lines[2].function, "lined::outer(int)");
    EXPECT_EQ(lines[0].line, innermost_line);
    EXPECT_EQ(lines[1].line, middle_line);
    EXPECT_EQ(lines[2].line, outer_line);
    for (const line_in_source& line : lines)
        EXPECT_TRUE(line.file.ends_with("probe/lined.cpp")) << line.file;
}

TEST(source_lines, name_inlined_functions_and_where_they_were_called) {
    const std::uint64_t at = test::offset_of(LINED_PROBE, "lined_place");
    one_object probe(LINED_PROBE, "/nowhere");
    expect_the_chain(probe.names->lines({0, at}));
}

TEST(source_lines, come_from_a_separate_debug_file_as_well) {
    const std::uint64_t at = test::offset_of(LINED_PROBE, "lined_place");
    test::temporary_folder folder;
    test::shell(
        std::string(OBJCOPY " --only-keep-debug --compress-debug-sections " LINED_PROBE " ") +
        (folder / "lined.debug"));
    test::shell(std::string(OBJCOPY " --strip-all --add-gnu-debuglink=") +
                (folder / "lined.debug") + " " LINED_PROBE " " + (folder / "lined.so"));
    one_object probe(folder / "lined.so", "/nowhere");
    expect_the_chain(probe.names->lines({0, at}));
}

TEST(source_lines, without_debug_information_there_is_the_function) {
    const std::uint64_t at = test::offset_of(LINED_PROBE, "lined_call");
    test::temporary_folder folder;
    test::shell(std::string(STRIP " -o ") + (folder / "bare.so") + " " LINED_PROBE);
    one_object probe(folder / "bare.so", "/nowhere");
    EXPECT_EQ(probe.names->lines({0, at}), (std::vector<line_in_source>{{"lined_call", "", 0}}));
    EXPECT_EQ(probe.names->lines({code_place::no_object, 1}),
              (std::vector<line_in_source>{{"[unknown]", "", 0}}));
}

TEST(source_lines, of_a_strangers_file_are_not_looked_for) {
    const std::uint64_t at = test::offset_of(LINED_PROBE, "lined_place");
    test::temporary_folder folder;
    std::filesystem::copy_file(LINED_PROBE, folder / "foreign.so");
    std::filesystem::permissions(folder / "foreign.so", std::filesystem::perms(0777));
    one_object writable(folder / "foreign.so", "/nowhere");
    EXPECT_EQ(writable.names->lines({0, at}),
              (std::vector<line_in_source>{{"lined::outer(int)", "", 0}}));
    std::filesystem::permissions(folder / "foreign.so", std::filesystem::perms(0755));
    one_object ours(folder / "foreign.so", "/nowhere");
    expect_the_chain(ours.names->lines({0, at}));
    if (chown((folder / "foreign.so").c_str(), 65534, 65534) != 0)
        GTEST_SKIP() << "only root can give files away";
    one_object foreign(folder / "foreign.so", "/nowhere");
    EXPECT_EQ(foreign.names->lines({0, at}).size(), 1u);
}

TEST(source_lines, damaged_debug_information_does_no_harm) {
    std::ifstream in(LINED_PROBE, std::ios::binary);
    const std::string original{std::istreambuf_iterator<char>(in), {}};
    const std::uint64_t at = test::offset_of(LINED_PROBE, "lined_place");
    // Where debug information is in the file.
    std::vector<std::pair<std::size_t, std::size_t>> parts;
    for (const elf_file::section& section : elf_file::open(LINED_PROBE)->sections()) {
        if (section.name.starts_with(".debug_"))
            parts.emplace_back(section.header.sh_offset, section.header.sh_size);
    }
    ASSERT_GT(parts.size(), 3u);
    test::temporary_folder folder;
    unsigned state = 1;
    const auto next = [&] { return (state = state * 1103515245u + 12345u) >> 8; };
    for (int round = 0; round < 500; ++round) {
        std::string bytes = original;
        for (int i = 0; i < 12; ++i) {
            const auto [begin, size] = parts[next() % parts.size()];
            bytes[begin + next() % size] = static_cast<char>(next());
        }
        std::ofstream(folder / "damaged.so", std::ios::binary) << bytes;
        one_object probe(folder / "damaged.so", "/nowhere");
        for (unsigned i = 0; i < 20; ++i)
            EXPECT_GE(probe.names->lines({0, at - 40 + 4 * i}).size(), 1u);
    }
}

}  // namespace
}  // namespace nmircu::command
