// SPDX-License-Identifier: MIT
//
// Property: an address is given the name of the function that covers it, or of none; in stripped
// code all addresses of one function share one name; a separate debug file is used only if it is
// the object's own.
#include <nmi/symbols/symbolizer.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <dlfcn.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nmi/symbols/module_file.hpp>

namespace nmircu::command {
namespace {

namespace fs = std::filesystem;

class symbols : public testing::Test {
  protected:
    symbols() {
        char name[] = "/tmp/nmi-symbols-test-XXXXXX";
        folder_ = mkdtemp(name);
        probe_ = dlopen(SYMBOL_PROBE, RTLD_NOW | RTLD_LOCAL);
        plain_ = address("probe_plain");
        visible_ = address("_ZN5probe12visible_workEiPKc");
        hidden_ = reinterpret_cast<std::uint64_t>(
            reinterpret_cast<void* (*)()>(address("probe_address_of_hidden"))());
        Dl_info info;
        dladdr(reinterpret_cast<void*>(plain_), &info);
        base_ = reinterpret_cast<std::uint64_t>(info.dli_fbase);
    }
    ~symbols() override {
        dlclose(probe_);
        fs::remove_all(folder_);
    }
    std::uint64_t address(const char* name) {
        return reinterpret_cast<std::uint64_t>(dlsym(probe_, name));
    }
    void shell(const std::string& command) {
        ASSERT_EQ(std::system(command.c_str()), 0) << command;
    }

    // The probe's code as if a program had mapped `path` in its place.
    void use(const std::string& path) {
        objects_.clear();
        objects_.push_back({path, 0, 1, unique_fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC))});
        symbolizer_ = std::make_unique<symbolizer>(objects_, folder_ + "/debug");
    }
    std::string name_at(std::uint64_t address) {
        // The executable segment of the file: its place in the file from its place in memory.
        const auto file = elf_file::open(SYMBOL_PROBE);
        for (const elf_segment& segment : file->segments()) {
            const std::uint64_t in_segment = address - base_ - segment.address;
            if (segment.executable && address - base_ >= segment.address &&
                in_segment < segment.file_bytes) {
                return symbolizer_->name({0, segment.file_offset + in_segment}).function;
            }
        }
        return "no code";
    }
    std::string stripped() {
        const std::string path = folder_ + "/stripped.so";
        shell(std::string(STRIP " -o ") + path + " " SYMBOL_PROBE);
        return path;
    }
    std::string debug_file_of(const std::string& build_id) {
        return folder_ + "/debug/.build-id/" + build_id.substr(0, 2) + "/" + build_id.substr(2) +
               ".debug";
    }

    std::string folder_;
    void* probe_;
    std::uint64_t plain_, visible_, hidden_, base_;
    std::vector<mapped_object> objects_;
    std::unique_ptr<symbolizer> symbolizer_;
};

TEST_F(symbols, functions_have_their_names) {
    use(SYMBOL_PROBE);
    EXPECT_EQ(name_at(plain_), "probe_plain");  // not its alias with the underscores
    EXPECT_EQ(name_at(plain_ + 3), "probe_plain");
    EXPECT_EQ(name_at(visible_ + 1), "probe::visible_work(int, char const*)");
    EXPECT_EQ(name_at(hidden_ + 2), "probe::hidden_work(int)");
}

TEST_F(symbols, stripped_code_is_named_by_where_its_function_begins) {
    use(stripped());
    EXPECT_EQ(name_at(visible_ + 1), "probe::visible_work(int, char const*)");  // exported
    const std::string hidden = name_at(hidden_);
    EXPECT_EQ(hidden, fmt::format("stripped.so+{:#x}", hidden_ - base_));
    EXPECT_EQ(name_at(hidden_ + 1), hidden);
    EXPECT_EQ(name_at(hidden_ + 9), hidden);
}

TEST_F(symbols, a_separate_debug_file_is_found_by_build_id) {
    const std::string id = elf_file::open(SYMBOL_PROBE)->build_id();
    ASSERT_EQ(id.size(), 40u);
    fs::create_directories(fs::path(debug_file_of(id)).parent_path());
    shell(std::string(OBJCOPY " --only-keep-debug " SYMBOL_PROBE " ") + debug_file_of(id));
    use(stripped());
    EXPECT_EQ(name_at(hidden_ + 2), "probe::hidden_work(int)");
    EXPECT_EQ(name_at(plain_), "probe_plain");
}

TEST_F(symbols, a_debug_file_of_another_build_is_not_used) {
    const std::string id = elf_file::open(SYMBOL_PROBE)->build_id();
    fs::create_directories(fs::path(debug_file_of(id)).parent_path());
    fs::copy_file("/proc/self/exe", debug_file_of(id));
    use(stripped());
    EXPECT_EQ(name_at(hidden_), fmt::format("stripped.so+{:#x}", hidden_ - base_));
}

TEST_F(symbols, no_address_of_the_file_crashes_or_lies) {
    use(SYMBOL_PROBE);
    const auto file = elf_file::open(SYMBOL_PROBE);
    const symbol_table table(*file, nullptr);
    for (std::uint64_t at = 0; at < 0x6000; ++at) {
        const auto found = table.find(at);
        EXPECT_TRUE(!found || found->begin <= at) << at;
    }
    EXPECT_FALSE(table.find(0));
    EXPECT_FALSE(table.find(~0ull));
    EXPECT_EQ(symbolizer_->name({0, 1ull << 40}).function, "[symbol_probe.so]");
}

TEST_F(symbols, damaged_files_yield_nothing_and_do_no_harm) {
    const std::string original = [] {
        std::ifstream file(SYMBOL_PROBE, std::ios::binary);
        return std::string(std::istreambuf_iterator<char>(file), {});
    }();
    const std::string path = folder_ + "/damaged.so";
    unsigned state = 1;
    for (int round = 0; round < 300; ++round) {
        std::string bytes = original;
        for (int i = 0; i < 20; ++i) {
            state = state * 1103515245u + 12345u;
            bytes[(state >> 4) % (round % 2 ? bytes.size() : 1024)] =
                static_cast<char>(state >> 20);
        }
        if (round % 3 == 0) bytes.resize(bytes.size() * (state >> 8 & 15) / 16);
        std::ofstream(path, std::ios::binary) << bytes;
        use(path);
        name_at(hidden_);
        name_at(plain_);
        wrong_with_module_file(path);
    }
}

TEST_F(symbols, the_vdso_is_known) {
    std::vector<mapped_object> objects;
    objects.push_back({"[vdso]", 0, 0, {}});
    symbolizer names(objects);
    const auto vdso =
        elf_file::in_memory({reinterpret_cast<char*>(getauxval(AT_SYSINFO_EHDR)), 4096});
    if (!vdso) GTEST_SKIP() << "no vdso here";
    bool found = false;
    for (std::uint64_t at = 0; at < 8192 && !found; ++at) {
        found = names.name({0, at}).function.find("clock_gettime") != std::string::npos;
    }
    EXPECT_TRUE(found);
}

TEST_F(symbols, what_cannot_be_looked_into_is_named_after_its_object) {
    objects_.push_back({"[anon]", 0, 0, {}});
    objects_.push_back({"/gone/lib.so", 0, 5, {}});
    symbolizer names(objects_);
    EXPECT_EQ(names.name({0, 0x1234}).function, "[anon]");
    EXPECT_EQ(names.name({1, 0x1234}).function, "[lib.so]");
    EXPECT_EQ(names.name({code_place::no_object, 0x1234}).function, "[unknown]");
}

TEST_F(symbols, a_call_is_told_from_other_places) {
    use(SYMBOL_PROBE);
    // probe_plain calls visible_work and computes on: one of its bytes ends a call, most do not.
    const auto file = elf_file::open(SYMBOL_PROBE);
    unsigned calls = 0, others = 0;
    for (const elf_segment& segment : file->segments()) {
        if (!segment.executable) continue;
        for (std::uint64_t at = plain_ - base_; at < plain_ - base_ + 24; ++at) {
            const code_place place{0, segment.file_offset + (at - segment.address)};
            ++(symbolizer_->is_call(place) ? calls : others);
        }
    }
    EXPECT_GE(calls, 1u);
    EXPECT_GE(others, 18u);
    EXPECT_FALSE(symbolizer_->is_call({code_place::no_object, 0}));
}

TEST_F(symbols, a_file_that_is_no_module_is_told_apart) {
    EXPECT_NE(wrong_with_module_file("/etc/passwd").find("not an ELF"), std::string::npos);
    EXPECT_NE(wrong_with_module_file(SYMBOL_PROBE).find("exports no nmi_module"),
              std::string::npos);
    EXPECT_NE(wrong_with_module_file("/nonexistent").find("cannot be read"), std::string::npos);
}

}  // namespace
}  // namespace nmircu::command
