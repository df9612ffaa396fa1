// SPDX-License-Identifier: MIT
//
// Property: whatever a program writes into the memory of its answers, the reader stays inside it,
// takes each slot once, and takes only what makes sense.
#include <nmi/backtrace/answers.hpp>

#include <cstring>
#include <random>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <modules/backtrace/layout.h>

namespace {

using namespace nmircu::command;

constexpr std::uint32_t slots = 4, stack_bytes = 1000, slot_bytes = 8192;
constexpr std::size_t bytes = backtrace_page_bytes + std::size_t{slots} * slot_bytes;

// What a program would send, and this test writes into.
class written {
  public:
    explicit written(int seals = F_SEAL_SHRINK)
        : file_(memfd_create("answers", MFD_ALLOW_SEALING)) {
        EXPECT_EQ(ftruncate(file_.get(), bytes), 0);
        memory_ = static_cast<std::byte*>(
            mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0));
        EXPECT_EQ(fcntl(file_.get(), F_ADD_SEALS, seals), 0);
        header() = {BACKTRACE_VERSION, slots, slot_bytes, stack_bytes, 0, {}};
    }
    written(const written&) = delete;
    written& operator=(const written&) = delete;
    ~written() { munmap(memory_, bytes); }

    [[nodiscard]] backtrace_header& header() const {
        return *reinterpret_cast<backtrace_header*>(memory_);
    }
    [[nodiscard]] backtrace_slot& slot(std::uint32_t number) const {
        return *reinterpret_cast<backtrace_slot*>(memory_ + backtrace_page_bytes +
                                                  std::size_t{number} * slot_bytes);
    }
    // A slot as the module leaves it.
    backtrace_slot& answer(std::uint32_t thread) const {
        backtrace_slot& one = slot(header().taken++);
        one.thread_id = thread;
        one.begin_ns = 100;
        one.end_ns = 350;
        one.address_count = 2;
        one.addresses[0] = 0x1000;
        one.addresses[1] = 0x2000;
        one.complete = 1;
        return one;
    }
    [[nodiscard]] std::byte* memory() const { return memory_; }
    [[nodiscard]] std::unique_ptr<answers> open(std::string& why) const {
        return answers::open(file_, why);
    }
    [[nodiscard]] std::unique_ptr<answers> open() const {
        std::string why;
        auto opened = open(why);
        EXPECT_TRUE(opened) << why;
        return opened;
    }

  private:
    unique_fd file_;
    std::byte* memory_;
};

TEST(Answers, EachIsTakenOnceAndWhole) {
    const written program;
    const auto reader = program.open();
    EXPECT_TRUE(reader->take().empty());
    backtrace_slot& first = program.answer(7);
    first.register_count = 17;
    first.registers[16] = 0x1000;
    first.stack_pointer = 0x7000;
    first.stack_bytes = stack_bytes;
    reinterpret_cast<std::byte*>(&first + 1)[stack_bytes - 1] = std::byte{9};
    program.answer(8).complete = 0;
    const auto found = reader->take();
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].thread_id, 7u);
    EXPECT_EQ(found[0].held_ns, 250u);
    EXPECT_EQ(found[0].addresses, (std::vector<std::uint64_t>{0x1000, 0x2000}));
    EXPECT_EQ(found[0].registers.size(), 17u);
    EXPECT_EQ(found[0].stack.size(), stack_bytes);
    EXPECT_EQ(found[0].stack.back(), std::byte{9});
    program.slot(1).complete = 1;
    EXPECT_EQ(reader->take().at(0).thread_id, 8u);
    EXPECT_TRUE(reader->take().empty());
    EXPECT_EQ(reader->malformed(), 0u);
}

TEST(Answers, WhatMakesNoSenseIsCounted) {
    const written program;
    const auto reader = program.open();
    program.answer(1).address_count = 0;
    program.answer(2).address_count = backtrace_most_addresses + 1;
    program.answer(3).register_count = ~0u;
    program.answer(4).stack_bytes = stack_bytes + 1;
    EXPECT_TRUE(reader->take().empty());
    EXPECT_EQ(reader->malformed(), 4u);
}

TEST(Answers, ThreadsThatFoundNoRoomAreCounted) {
    const written program;
    const auto reader = program.open();
    EXPECT_EQ(reader->missed(), 0u);
    program.header().taken = slots + 3;
    EXPECT_EQ(reader->missed(), 3u);
    EXPECT_TRUE(reader->take().empty());
}

TEST(Answers, HeadersThatLieAreRefused) {
    const auto refused = [](auto change) {
        const written program;
        change(program.header());
        std::string why;
        return program.open(why) == nullptr && !why.empty();
    };
    EXPECT_TRUE(refused([](backtrace_header& h) { h.version = 99; }));
    EXPECT_TRUE(refused([](backtrace_header& h) { h.slots = 0; }));
    EXPECT_TRUE(refused([](backtrace_header& h) { h.slots = slots + 1; }));
    EXPECT_TRUE(refused([](backtrace_header& h) { h.slots = ~0u; }));
    EXPECT_TRUE(refused([](backtrace_header& h) { h.slot_bytes = 0; }));
    EXPECT_TRUE(refused([](backtrace_header& h) { h.slot_bytes = ~0u; }));
    EXPECT_TRUE(refused([](backtrace_header& h) { h.slot_bytes += 8; }));
    EXPECT_TRUE(refused([](backtrace_header& h) { h.stack_bytes = slot_bytes; }));
    EXPECT_FALSE(refused([](backtrace_header&) {}));
}

TEST(Answers, FilesThatMayShrinkAreRefused) {
    const written program(0);
    std::string why;
    EXPECT_EQ(program.open(why), nullptr);
    int pipes[2];
    ASSERT_EQ(pipe(pipes), 0);
    const unique_fd reading(pipes[0]), writing(pipes[1]);
    EXPECT_EQ(answers::open(reading, why), nullptr);
}

TEST(Answers, GarbageDoesNoHarm) {
    std::minstd_rand random(1);
    for (int round = 0; round < 300; ++round) {
        const written program;
        const backtrace_header sound = program.header();
        for (std::size_t i = 0; i < bytes; ++i)
            program.memory()[i] = static_cast<std::byte>(random());
        if (round % 2 == 0) program.header() = sound;
        program.header().taken = static_cast<std::uint32_t>(random());
        for (std::uint32_t i = 0; i < slots; ++i)
            program.slot(i).complete = 1;
        std::string why;
        if (const auto reader = program.open(why)) reader->take();
    }
}

}  // namespace
