// SPDX-License-Identifier: MIT
//
// Property: a library that was deleted or replaced after it was mapped keeps the names of its own
// functions, out of itself, of the same build elsewhere, or of memory; those of the file that took
// its place are never used.
#include <nmi/profile/mapped_image.hpp>

#include <dlfcn.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "object.hpp"

#include <nmi/unwind/frame_table.hpp>

namespace nmircu::command {
namespace {

namespace fs = std::filesystem;

struct mapped_library : testing::Test {
    mapped_library() {
        fs::copy_file(SYMBOL_PROBE, path);
        fs::permissions(path, fs::perms(0755));
        library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
        plain = reinterpret_cast<std::uint64_t>(dlsym(library, "probe_plain"));
        hidden = reinterpret_cast<std::uint64_t>(
            reinterpret_cast<void* (*)()>(dlsym(library, "probe_address_of_hidden"))());
    }
    ~mapped_library() override { dlclose(library); }

    void replace_with(const std::string& other) {
        fs::copy_file(other, folder / "new");
        fs::permissions(folder / "new", fs::perms(0755));
        fs::rename(folder / "new", path);
    }
    static std::string name_of(std::uint64_t address) {
        memory_map map(getpid());
        map.refresh();
        symbolizer names(map.objects(), "/nowhere");
        return names.name(map.find(address)).function;
    }
    // Calls `expect` as a user who may not follow the kernel's links to mapped files.
    template <class Expect>
    static void as_nobody(Expect expect) {
        const pid_t child = fork();
        if (child == 0) {
            if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) _exit(2);
            prctl(PR_SET_DUMPABLE, 1);
            expect();
            _exit(testing::Test::HasFailure() ? 1 : 0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        EXPECT_EQ(status, 0);
    }
    test::temporary_folder folder;
    std::string path = folder / "mapped.so";
    void* library;
    std::uint64_t plain, hidden;
};

TEST_F(mapped_library, that_is_in_its_place_is_itself) {
    EXPECT_EQ(name_of(hidden), "probe::hidden_work(int)");
}

TEST_F(mapped_library, that_was_deleted_is_still_known) {
    fs::remove(path);
    if (geteuid() == 0) {
        EXPECT_EQ(name_of(hidden), "probe::hidden_work(int)");
    }
    as_nobody([&] {
        EXPECT_EQ(name_of(plain), "probe_plain");
        const std::string name = name_of(hidden);
        EXPECT_TRUE(name.starts_with("mapped.so+0x")) << name;
    });
}

TEST_F(mapped_library, in_whose_place_is_the_same_build_is_read_from_there) {
    replace_with(SYMBOL_PROBE);
    as_nobody([&] { EXPECT_EQ(name_of(hidden), "probe::hidden_work(int)"); });
}

TEST_F(mapped_library, in_whose_place_is_another_does_not_get_its_names) {
    replace_with("/proc/self/exe");
    as_nobody([&] {
        EXPECT_EQ(name_of(plain), "probe_plain");  // out of memory
        const std::string name = name_of(hidden);
        EXPECT_TRUE(name.starts_with("mapped.so (replaced)+0x")) << name;
        memory_map map(getpid());
        map.refresh();
        symbolizer names(map);
        names.name(map.find(plain));
        EXPECT_EQ(names.replaced(), std::vector<std::string>{path});
    });
}

TEST_F(mapped_library, can_be_unwound_out_of_memory) {
    fs::remove(path);
    as_nobody([&] {
        memory_map map(getpid());
        map.refresh();
        const code_place place = map.find(plain);
        frame_table table(open_mapped(map.objects()[place.object]));
        const auto address = code_address(table.segments(), place.file_offset);
        ASSERT_TRUE(address);
        EXPECT_NE(table.find(*address), nullptr);
    });
}

}  // namespace
}  // namespace nmircu::command
