// SPDX-License-Identifier: MIT
//
// Property: a watchdog finds each heartbeat that is in use with its name, thread and last word,
// also while others come and go; a masked region is told from the next one.
#include <nmircu/irq.hpp>
#include <nmircu/watchdog.hpp>

#include <atomic>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include <sys/syscall.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace {

const nmircu_watchdog_parts& view() {
    return *nmircu_watchdog_view();
}

std::uint32_t own_thread() {
    return static_cast<std::uint32_t>(::syscall(SYS_gettid));
}

// In use, of that thread and name.
const nmircu_heartbeat* find(std::uint32_t thread, const std::string& name) {
    for (std::uint32_t i = 0; i < view().heartbeat_count; ++i) {
        const nmircu_heartbeat& one = view().heartbeats[i];
        if (__atomic_load_n(&one.used, __ATOMIC_ACQUIRE) == 2 &&
            __atomic_load_n(&one.thread_id, __ATOMIC_RELAXED) == thread && one.name == name) {
            return &one;
        }
    }
    return nullptr;
}

TEST(Heartbeats, AreFoundFromTheirBeginningToTheirEnd) {
    {
        nmircu::heartbeat beat("loop");
        const nmircu_heartbeat* const found = find(own_thread(), "loop");
        ASSERT_NE(found, nullptr);
        EXPECT_EQ(found->beat, NMIRCU_HEARTBEAT_IDLE);
        beat.touch();
        EXPECT_EQ(found->beat, NMIRCU_HEARTBEAT_TOUCHED);
        beat.idle();
        EXPECT_EQ(found->beat, NMIRCU_HEARTBEAT_IDLE);
    }
    EXPECT_EQ(find(own_thread(), "loop"), nullptr);
}

TEST(Heartbeats, LongNamesAreCut) {
    nmircu::heartbeat beat(std::string(100, 'x').c_str());
    EXPECT_NE(find(own_thread(), std::string(47, 'x')), nullptr);
}

TEST(Heartbeats, AThreadsOwnEndsWithIt) {
    std::uint32_t thread = 0;
    std::thread([&] {
        thread = own_thread();
        nmircu::touch_nmi_watchdog();
        nmircu::touch_nmi_watchdog();
        const nmircu_heartbeat* const found = find(thread, "");
        ASSERT_NE(found, nullptr);
        EXPECT_EQ(found->beat, NMIRCU_HEARTBEAT_TOUCHED);
        nmircu::idle_nmi_watchdog();
        EXPECT_EQ(found->beat, NMIRCU_HEARTBEAT_IDLE);
    }).join();
    EXPECT_EQ(find(thread, ""), nullptr);
}

TEST(Heartbeats, CanMoveToAnotherThread) {
    nmircu::heartbeat beat("moves");
    std::thread([&] {
        beat.move_to_this_thread();
        EXPECT_NE(find(own_thread(), "moves"), nullptr);
    }).join();
    EXPECT_EQ(find(own_thread(), "moves"), nullptr);
}

TEST(Heartbeats, MoreThanThereIsRoomForAreAccepted) {
    std::vector<nmircu_heartbeat*> many;
    for (std::uint32_t i = 0; i < view().heartbeat_count + 10; ++i) {
        many.push_back(nmircu_heartbeat_begin("many"));
        nmircu_heartbeat_touch(many.back());
    }
    for (nmircu_heartbeat* one : many)
        nmircu_heartbeat_end(one);
    EXPECT_EQ(find(own_thread(), "many"), nullptr);
    nmircu::heartbeat beat("room again");
    EXPECT_NE(find(own_thread(), "room again"), nullptr);
}

TEST(Heartbeats, ComeAndGoOnSeveralThreads) {
    std::vector<std::thread> threads;
    std::atomic<int> missing{0};
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int round = 0; round < 200; ++round) {
                nmircu::heartbeat beat("busy");
                beat.touch();
                if (find(own_thread(), "busy") == nullptr) missing.fetch_add(1);
            }
        });
    }
    for (std::thread& one : threads)
        one.join();
    EXPECT_EQ(missing.load(), 0);
}

// What an NMI does, here on the thread itself.
TEST(MaskedRegions, OneIsToldFromTheNext) {
    nmircu_mask_words words{};
    EXPECT_EQ(view().mark_region(&words), 0);
    EXPECT_EQ(*words.depth, 0u);
    const nmircu::irq_flags outer = nmircu::local_irq_save();
    EXPECT_EQ(view().mark_region(&words), 1);
    EXPECT_EQ(*words.depth, 1u);
    const std::uint32_t ended = *words.regions_ended;
    const nmircu::irq_flags inner = nmircu::local_irq_save();
    nmircu::local_irq_restore(inner);
    EXPECT_EQ(view().mark_region(&words), 1);
    EXPECT_EQ(*words.regions_ended, ended);
    nmircu::local_irq_restore(outer);
    EXPECT_EQ(*words.regions_ended, ended + 1);
    EXPECT_EQ(view().mark_region(&words), 0);
    const nmircu::irq_flags next = nmircu::local_irq_save();
    EXPECT_EQ(view().mark_region(&words), 1);
    EXPECT_NE(*words.regions_ended, ended);
    nmircu::local_irq_restore(next);
}

int count_hits(void* cookie, nmircu::pt_regs*, int) {
    static_cast<std::atomic<int>*>(cookie)->fetch_add(1);
    return nmircu::irq_handled;
}

TEST(MaskedRegions, AMarkLosesNoInterrupt) {
    std::atomic<int> hits{0};
    ASSERT_EQ(
        nmircu::request_irq(SIGUSR1, count_hits, nmircu::irq_handler_flags::none, "hits", &hits),
        nmircu::irq_error::none);
    nmircu_mask_words words{};
    for (int round = 1; round <= 3; ++round) {
        const nmircu::irq_flags flags = nmircu::local_irq_save();
        if (round != 2) view().mark_region(&words);
        raise(SIGUSR1);
        EXPECT_EQ(hits.load(), round - 1);
        view().mark_region(&words);
        nmircu::local_irq_restore(flags);
        EXPECT_EQ(hits.load(), round);
    }
    raise(SIGUSR1);
    EXPECT_EQ(hits.load(), 4);
    ASSERT_EQ(nmircu::free_irq(SIGUSR1, &hits), nmircu::irq_error::none);
}

}  // namespace
