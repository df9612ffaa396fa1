// SPDX-License-Identifier: MIT
//
// Property: whatever a program writes into the memory of its alarms, the reader stays inside it,
// takes each alarm once, in order, and says how many it missed.
#include <nmi/watch/alarms.hpp>

#include <cstring>
#include <random>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <modules/watchdog/layout.h>

namespace {

using namespace nmircu::command;

constexpr std::size_t bytes =
    watchdog_page_bytes + std::size_t{watchdog_slots} * watchdog_slot_bytes;

// What a program would send, and this test writes into.
class written {
  public:
    explicit written(std::size_t size = bytes, int seals = F_SEAL_SHRINK)
        : file_(memfd_create("alarms", MFD_ALLOW_SEALING)) {
        EXPECT_EQ(ftruncate(file_.get(), static_cast<off_t>(size)), 0);
        EXPECT_EQ(fcntl(file_.get(), F_ADD_SEALS, seals), 0);
        memory_ = static_cast<std::byte*>(
            mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0));
        if (size == bytes) header().version = WATCHDOG_VERSION;
    }
    written(const written&) = delete;
    written& operator=(const written&) = delete;
    ~written() { munmap(memory_, bytes); }

    [[nodiscard]] watchdog_header& header() const {
        return *reinterpret_cast<watchdog_header*>(memory_);
    }
    [[nodiscard]] watchdog_alarm& slot(std::uint32_t number) const {
        return *reinterpret_cast<watchdog_alarm*>(memory_ + watchdog_page_bytes +
                                                  std::size_t{(number - 1) % watchdog_slots} *
                                                      watchdog_slot_bytes);
    }
    // An alarm as the module leaves it.
    watchdog_alarm& alarm() const {
        const std::uint32_t number = ++header().alarms;
        watchdog_alarm& one = slot(number);
        one.number = number;
        one.rule = WATCHDOG_BUSY;
        one.thread_id = number + 1000;
        one.address_count = 1;
        one.addresses[0] = 0x1000;
        return one;
    }
    [[nodiscard]] std::byte* memory() const { return memory_; }
    [[nodiscard]] std::unique_ptr<alarms> open() const {
        std::string why;
        auto opened = alarms::open(file_, why);
        EXPECT_EQ(opened == nullptr, !why.empty());
        return opened;
    }

  private:
    unique_fd file_;
    std::byte* memory_;
};

TEST(WatchAlarms, EachIsTakenOnceInOrder) {
    const written program;
    program.alarm();
    const auto reader = program.open();
    watchdog_alarm& second = program.alarm();
    second.rule = WATCHDOG_HEARTBEAT;
    std::memset(second.thread, 'x', sizeof second.thread);  // no end
    std::strcpy(second.heartbeat, "loop\n1");
    const auto found = reader->take();
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(found[0].thread_id, 1001u);
    EXPECT_EQ(found[0].addresses, std::vector<std::uint64_t>{0x1000});
    EXPECT_EQ(found[1].rule, stall_rule::heartbeat);
    EXPECT_EQ(found[1].thread, std::string(sizeof second.thread, 'x'));
    EXPECT_EQ(found[1].heartbeat, "loop 1");
    EXPECT_TRUE(reader->take().empty());
    EXPECT_EQ(reader->lost(), 0u);
}

TEST(WatchAlarms, ThoseThatWereOverwrittenAreCounted) {
    const written program;
    const auto reader = program.open();
    for (int i = 0; i < watchdog_slots + 5; ++i)
        program.alarm();
    const auto found = reader->take();
    ASSERT_EQ(found.size(), std::size_t{watchdog_slots});
    EXPECT_EQ(found[0].number, 6u);
    EXPECT_EQ(reader->lost(), 5u);
}

TEST(WatchAlarms, WhatMakesNoSenseIsCounted) {
    const written program;
    const auto reader = program.open();
    program.alarm().address_count = watchdog_most_addresses + 1;
    program.alarm().rule = 3;
    program.alarm().number = 0;  // being written
    EXPECT_TRUE(reader->take().empty());
    EXPECT_EQ(reader->lost(), 3u);
}

TEST(WatchAlarms, FilesThatAreNoneAreRefused) {
    EXPECT_EQ(written(bytes, 0).open(), nullptr);
    EXPECT_EQ(written(watchdog_page_bytes).open(), nullptr);
    const written program;
    program.header().version = 99;
    EXPECT_EQ(program.open(), nullptr);
}

TEST(WatchAlarms, GarbageDoesNoHarm) {
    std::minstd_rand random(1);
    for (int round = 0; round < 100; ++round) {
        const written program;
        for (std::size_t i = 0; i < bytes; ++i)
            program.memory()[i] = static_cast<std::byte>(random());
        program.header().version = WATCHDOG_VERSION;
        const auto reader = program.open();
        for (std::uint32_t number = 1; number <= watchdog_slots; ++number)
            program.slot(program.header().alarms - number).number =
                program.header().alarms - number;
        reader->take();
    }
}

}  // namespace
