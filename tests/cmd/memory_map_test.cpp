// SPDX-License-Identifier: MIT
//
// Property: an address is found in what was mapped there last, and still found after that has gone;
// only executable mappings count; each file is open from the moment it was seen.
#include <nmi/profile/memory_map.hpp>

#include <gtest/gtest.h>

#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nmircu::command {
namespace {

constexpr const char* before =
    "1000-3000 r-xp 00000000 08:01 11 /lib/a.so\n"
    "3000-4000 rw-p 00002000 08:01 11 /lib/a.so\n"
    "5000-9000 r-xp 00010000 08:01 12 /lib/b c.so (deleted)\n"
    "7ff000-800000 r-xp 00000000 00:00 0 [vdso]\n"
    "a000-b000 rwxp 00000000 00:00 0 \n";

struct map_test : testing::Test {
    std::string object(std::uint64_t address) {
        const code_place place = map.find(address);
        return place.object == code_place::no_object ? "" : map.objects()[place.object].path;
    }
    memory_map map{getpid()};
};

TEST_F(map_test, finds_the_object_and_the_place_in_it) {
    map.update(before);
    EXPECT_EQ(object(0x1000), "/lib/a.so");
    EXPECT_EQ(map.find(0x2fff).file_offset, 0x1fffu);
    EXPECT_EQ(object(0x6000), "/lib/b c.so");
    EXPECT_EQ(map.find(0x6000).file_offset, 0x11000u);
    EXPECT_EQ(object(0x7ff010), "[vdso]");
    EXPECT_EQ(map.find(0x7ff010).file_offset, 0x10u);
}

TEST_F(map_test, code_without_a_file_keeps_its_address) {
    map.update(before);
    EXPECT_EQ(object(0xa123), "[anon]");
    EXPECT_EQ(map.find(0xa123).file_offset, 0xa123u);
}

TEST_F(map_test, data_and_holes_are_nothing) {
    map.update(before);
    for (const std::uint64_t address : {0x0ull, 0xfffull, 0x3000ull, 0x4000ull, 0x9000ull, ~0ull}) {
        EXPECT_EQ(map.find(address).object, code_place::no_object) << address;
    }
}

TEST_F(map_test, what_has_gone_stays_known_until_something_else_is_there) {
    map.update(before);
    map.update("2000-6000 r-xp 00000000 08:01 13 /lib/new.so\n");
    EXPECT_EQ(object(0x1fff), "/lib/a.so");
    EXPECT_EQ(object(0x2000), "/lib/new.so");
    EXPECT_EQ(object(0x5fff), "/lib/new.so");
    EXPECT_EQ(object(0x6000), "/lib/b c.so");
    EXPECT_EQ(map.find(0x6000).file_offset, 0x11000u);
    map.update("");
    EXPECT_EQ(object(0x2000), "/lib/new.so");
}

TEST_F(map_test, a_mapping_in_the_middle_of_another_leaves_both_ends) {
    map.update("1000-9000 r-xp 00000000 08:01 11 /lib/a.so\n");
    map.update("3000-4000 r-xp 00000000 08:01 12 /lib/b.so\n");
    EXPECT_EQ(object(0x2fff), "/lib/a.so");
    EXPECT_EQ(object(0x3000), "/lib/b.so");
    EXPECT_EQ(object(0x4000), "/lib/a.so");
    EXPECT_EQ(map.find(0x4000).file_offset, 0x3000u);
    EXPECT_EQ(map.find(0x8fff).file_offset, 0x7fffu);
}

TEST_F(map_test, the_same_path_with_another_inode_is_another_object) {
    map.update("1000-2000 r-xp 00000000 08:01 11 /m.so\n");
    const std::uint32_t first = map.find(0x1000).object;
    map.update("1000-2000 r-xp 00000000 08:01 99 /m.so\n");
    EXPECT_NE(map.find(0x1000).object, first);
}

TEST_F(map_test, garbage_is_survived) {
    map.update("\n\n-\nzz-yy r-xp\n2000-1000 r-xp 0 0:0 0\n1000-2000\n1000-2000 r-xp");
    EXPECT_EQ(map.find(0x3000).object, code_place::no_object);
}

TEST_F(map_test, a_real_process_is_found_and_its_files_are_open) {
    ASSERT_TRUE(map.refresh());
    const auto address = reinterpret_cast<std::uint64_t>(dlsym(RTLD_DEFAULT, "malloc"));
    const code_place place = map.find(address);
    ASSERT_NE(place.object, code_place::no_object);
    struct stat file;
    EXPECT_EQ(fstat(map.objects()[place.object].file.get(), &file), 0);
    EXPECT_EQ(file.st_ino, map.objects()[place.object].inode);
}

TEST(memory_map, a_process_that_is_gone_says_so) {
    memory_map map(1 << 23);
    EXPECT_FALSE(map.refresh());
}

}  // namespace
}  // namespace nmircu::command
