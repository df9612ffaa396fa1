// SPDX-License-Identifier: MIT
//
// Property: the walk finds the true callers where the code keeps frame pointers, and whatever the
// frame pointer holds instead, it ends, stays below its limits, reads nothing unreadable and leaves
// errno alone.
#include "platform/linux/stack_walk.hpp"

#include <cerrno>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include <dlfcn.h>
#include <sys/mman.h>

#include <gtest/gtest.h>

namespace {

using nmircu::platform::copy_stack;
using nmircu::platform::most_frame_bytes;
using nmircu::platform::most_frames;
using nmircu::platform::most_stack_bytes;
using nmircu::platform::stack_extent;
using nmircu::platform::walk_end;
using nmircu::platform::walk_stack;
using words = std::vector<std::uintptr_t>;

constexpr std::uintptr_t code = 0x1234;
constexpr std::uintptr_t page = 4096;

// A stack made by hand, with an unreadable page before and behind it.
class stack {
  public:
    explicit stack(std::size_t bytes = 16 * page) : bytes_(bytes) {
        base_ = static_cast<char*>(
            mmap(nullptr, bytes + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        mprotect(base_ + page, bytes, PROT_READ | PROT_WRITE);
    }
    stack(const stack&) = delete;
    stack& operator=(const stack&) = delete;
    ~stack() { munmap(base_, bytes_ + 2 * page); }

    [[nodiscard]] std::uintptr_t at(std::size_t offset) const {
        return reinterpret_cast<std::uintptr_t>(base_ + page + offset);
    }
    void frame(std::size_t offset, std::uintptr_t caller, std::uintptr_t address) {
        const std::uintptr_t content[2] = {caller, address};
        std::memcpy(base_ + page + offset, content, sizeof content);
    }
    [[nodiscard]] words walk(std::uintptr_t frame, std::uint32_t most = most_frames) const {
        words found(most + 1, 0xdead);
        errno = 1234;
        found.resize(walk_stack(code, at(0), frame, found.data(), most));
        EXPECT_EQ(errno, 1234);
        return found;
    }
    void make_unreadable(std::size_t offset, std::size_t bytes) {
        mprotect(base_ + page + offset, bytes, PROT_NONE);
    }

  private:
    char* base_;
    std::size_t bytes_;
};

TEST(stack_walk, follows_the_chain_to_its_end) {
    stack s;
    s.frame(64, s.at(5000), 0x10001);
    s.frame(5000, s.at(5016), 0x10002);
    s.frame(5016, s.at(40000), 0x10003);
    s.frame(40000, 0, 0x10004);
    EXPECT_EQ(s.walk(s.at(64)), (words{code, 0x10001, 0x10002, 0x10003, 0x10004}));
}

TEST(stack_walk, writes_at_most_what_was_asked_for) {
    stack s;
    for (std::size_t i = 0; i < 100; ++i)
        s.frame(i * 32, s.at((i + 1) * 32), 0x20000 + i);
    EXPECT_EQ(s.walk(s.at(0), 0), words{});
    EXPECT_EQ(s.walk(s.at(0), 1), words{code});
    EXPECT_EQ(s.walk(s.at(0), 2), (words{code, 0x20000}));
    EXPECT_EQ(s.walk(s.at(0), 50).size(), 50u);
}

TEST(stack_walk, a_chain_of_any_length_is_cut_at_the_limit) {
    stack s;
    for (std::size_t i = 0; i < 3000; ++i)
        s.frame(i * 16, s.at((i + 1) * 16), 0x20000 + i);
    std::vector<std::uintptr_t> found(5000);
    EXPECT_EQ(walk_stack(code, s.at(0), s.at(0), found.data(), 5000), most_frames);
}

TEST(stack_walk, a_loop_ends) {
    stack s;
    s.frame(64, s.at(64), 0x10001);
    EXPECT_EQ(s.walk(s.at(64)), (words{code, 0x10001}));
    s.frame(128, s.at(64), 0x10002);
    s.frame(64, s.at(128), 0x10001);
    EXPECT_EQ(s.walk(s.at(64)), (words{code, 0x10001, 0x10002}));
    s.frame(64, s.at(72), 0x10001);  // overlaps itself
    EXPECT_EQ(s.walk(s.at(64)), (words{code, 0x10001}));
}

TEST(stack_walk, a_register_that_is_no_frame_pointer_gives_the_instruction_alone) {
    stack s;
    const std::uintptr_t stack_pointer = s.at(0);
    for (const std::uintptr_t frame :
         {std::uintptr_t{0}, std::uintptr_t{1}, std::uintptr_t{16}, ~std::uintptr_t{0},
          ~std::uintptr_t{7}, ~std::uintptr_t{15}, stack_pointer - 16, stack_pointer + 1,
          stack_pointer + 4, s.at(16 * page), s.at(16 * page - 8), stack_pointer + most_frame_bytes,
          stack_pointer + most_stack_bytes}) {
        EXPECT_EQ(s.walk(frame), words{code}) << std::hex << frame;
    }
}

TEST(stack_walk, unreadable_memory_in_the_middle_ends_it) {
    stack s;
    s.frame(64, s.at(3 * page), 0x10001);
    s.frame(3 * page, s.at(5 * page), 0x10002);
    s.make_unreadable(3 * page, page);
    EXPECT_EQ(s.walk(s.at(64)), (words{code, 0x10001}));
}

TEST(stack_walk, a_frame_across_two_pages_needs_both) {
    stack s;
    s.frame(3 * page - 8, 0, 0x10001);
    EXPECT_EQ(s.walk(s.at(3 * page - 8)), (words{code, 0x10001}));
    s.make_unreadable(3 * page, page);
    EXPECT_EQ(s.walk(s.at(3 * page - 8)), words{code});
}

TEST(stack_walk, ends_where_there_is_no_return_address) {
    stack s;
    s.frame(64, s.at(128), 0x10001);
    s.frame(128, s.at(256), 0);
    s.frame(256, 0, 0x10003);
    EXPECT_EQ(s.walk(s.at(64)), (words{code, 0x10001}));
}

TEST(stack_walk, far_beyond_the_stack_pointer_it_ends) {
    stack s(std::size_t{9} << 20);
    std::size_t at = 0;
    std::size_t frames = 0;
    for (; at + 2 * page * 64 < std::size_t{9} << 20; at += page * 64, ++frames)
        s.frame(at, s.at(at + page * 64), 0x30000 + frames);
    const words found = s.walk(s.at(0));
    EXPECT_EQ(found.size(), 1 + most_stack_bytes / (page * 64));
    EXPECT_LT(found.size(), frames);
}

TEST(stack_walk, any_memory_is_survived) {
    stack s;
    std::mt19937_64 random(5);
    for (std::size_t i = 0; i < 16 * page; i += 16) {
        const std::uintptr_t caller = random() % 3 == 0 ? random() : s.at(random() % (17 * page));
        s.frame(i, caller, random() >> random() % 64);
    }
    for (int round = 0; round < 20000; ++round)
        EXPECT_LE(s.walk(s.at(random() % (17 * page))).size(), most_frames);
}

walk_end end_of(const stack& s, std::uintptr_t frame, std::uint32_t most = most_frames) {
    words found(most_frames);
    walk_end end{};
    walk_stack(code, s.at(0), frame, found.data(), most, end);
    return end;
}

TEST(stack_walk, says_how_it_ended) {
    stack s;
    s.frame(64, s.at(128), 0x10001);
    s.frame(128, 0, 0x10002);
    EXPECT_EQ(end_of(s, s.at(64)), walk_end::outermost);
    EXPECT_EQ(end_of(s, s.at(64), 2), walk_end::limit);
    s.frame(128, 12345, 0x10002);
    EXPECT_EQ(end_of(s, s.at(64)), walk_end::badly);
    s.frame(128, s.at(256), 0x10002);
    s.frame(256, 12345, 0);
    EXPECT_EQ(end_of(s, s.at(64)), walk_end::outermost);
}

TEST(stack_walk, a_stack_is_copied_as_far_as_it_can_be_read) {
    stack s;
    bool ends = false;
    EXPECT_EQ(stack_extent(s.at(8), 8192, ends), 8192u);
    EXPECT_FALSE(ends);
    errno = 1234;
    EXPECT_EQ(stack_extent(s.at(15 * page + 8), 8192, ends), page - 8);
    EXPECT_EQ(errno, 1234);
    EXPECT_TRUE(ends);
    EXPECT_EQ(stack_extent(s.at(16 * page), 8192, ends), 0u);
    EXPECT_TRUE(ends);
    s.frame(15 * page + 8, 7, 8);
    words copied(2);
    copy_stack(s.at(15 * page + 8), copied.data(), 16);
    EXPECT_EQ(copied, (words{7, 8}));
}

words found_in_self;

__attribute__((noinline)) void innermost() {
    std::uintptr_t addresses[64];
    void* const here = __builtin_return_address(0);
    auto* const frame = static_cast<std::uintptr_t*>(__builtin_frame_address(0));
    const std::uint32_t count =
        walk_stack(reinterpret_cast<std::uintptr_t>(here), reinterpret_cast<std::uintptr_t>(&frame),
                   reinterpret_cast<std::uintptr_t>(frame), addresses, 64);
    found_in_self.assign(addresses, addresses + count);
    asm volatile("" : : "r"(addresses) : "memory");
}
__attribute__((noinline)) void recurse(int depth) {
    if (depth == 0) {
        innermost();
    } else {
        recurse(depth - 1);
    }
    asm volatile("" : : : "memory");  // no tail call
}

TEST(stack_walk, finds_its_own_callers_on_every_stack) {
    const auto check = [] {
        recurse(20);
        // innermost's caller twice (given, and as its return address), then recurse in itself.
        ASSERT_GE(found_in_self.size(), 22u);
        EXPECT_EQ(found_in_self[1], found_in_self[0]);
        for (std::size_t i = 3; i < 21; ++i)
            EXPECT_EQ(found_in_self[i], found_in_self[2]) << i;
        EXPECT_NE(found_in_self[2], found_in_self[1]);
    };
    check();
    std::thread(check).join();
}

}  // namespace
