// SPDX-License-Identifier: MIT
//
// Property: a separate debug file is found by .gnu_debuglink wherever gdb would look for it, and
// used only if its checksum is the one that the object was linked with.
#include <nmi/symbols/debug_file.hpp>

#include "object.hpp"

namespace nmircu::command {
namespace {

namespace fs = std::filesystem;
using test::one_object;

struct debug_link : testing::Test {
    debug_link() {
        test::shell(std::string(OBJCOPY " --only-keep-debug " SYMBOL_PROBE " ") + link);
        test::shell(std::string(OBJCOPY " --strip-all --remove-section=.note.gnu.build-id "
                                        "--add-gnu-debuglink=") +
                    link + " " SYMBOL_PROBE " " + stripped);
    }
    std::string hidden_name() {
        const std::uint64_t at = test::offset_of(SYMBOL_PROBE, "_ZN5probeL11hidden_workEi");
        return one_object(stripped, folder / "root").name(at);
    }
    test::temporary_folder folder;
    std::string link = folder / "probe.debug";
    std::string stripped = folder / "stripped.so";
    const std::string known = "probe::hidden_work(int)";
};

TEST_F(debug_link, is_followed_to_the_same_folder) {
    EXPECT_EQ(hidden_name(), known);
}

TEST_F(debug_link, is_followed_to_the_folder_for_debug_files) {
    fs::create_directory(folder / ".debug");
    fs::rename(link, folder / ".debug/probe.debug");
    EXPECT_EQ(hidden_name(), known);
}

TEST_F(debug_link, is_followed_to_the_root_of_debug_files) {
    fs::create_directories(folder / "root" + folder.path());
    fs::rename(link, (folder / "root") + folder.path() + "/probe.debug");
    EXPECT_EQ(hidden_name(), known);
}

TEST_F(debug_link, to_a_file_with_another_checksum_is_not_followed) {
    std::ofstream(link, std::ios::app) << '\0';
    EXPECT_TRUE(hidden_name().starts_with("stripped.so+0x")) << hidden_name();
}

TEST_F(debug_link, to_nothing_or_to_what_is_no_file_does_no_harm) {
    fs::remove(link);
    EXPECT_TRUE(hidden_name().starts_with("stripped.so+0x")) << hidden_name();
    ASSERT_EQ(mkfifo(link.c_str(), 0600), 0);
    EXPECT_TRUE(hidden_name().starts_with("stripped.so+0x")) << hidden_name();
}

TEST_F(debug_link, does_not_lead_out_of_its_folder) {
    // The name in the section, of the same length.
    std::ifstream in(stripped, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(in), {}};
    const std::size_t at = bytes.find("probe.debug");
    ASSERT_NE(at, std::string::npos);
    bytes.replace(at, 11, "d/obe.debug");
    std::ofstream(stripped, std::ios::binary) << bytes;
    fs::create_directory(folder / "d");
    fs::rename(link, folder / "d/obe.debug");
    EXPECT_TRUE(hidden_name().starts_with("stripped.so+0x")) << hidden_name();
}

}  // namespace
}  // namespace nmircu::command
