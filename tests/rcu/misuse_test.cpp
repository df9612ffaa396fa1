// SPDX-License-Identifier: MIT
//
// Property: who breaks a rule of rcu.hpp or rcu_retire.hpp in code that was compiled with the
// checks is stopped with a message that gives both ends, each with the address of the very function
// that is to blame; whether or not the library itself was compiled with them, and also where other
// translation units of the program (misuse_unchecked.cpp) were not. Code that only looks like
// misuse is left alone.
#define NMIRCU_DEBUG 1
#include <array>
#include <cstring>
#include <mutex>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nmircu/nmi.hpp>
#include <nmircu/rcu.hpp>

#include "../sites.hpp"
#include "misuse_unchecked.hpp"

namespace {

using nmircu::rcu_default_domain;
using nmircu_test::names;
using nmircu_test::print_sites;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

NMIRCU_SITE(locker) void lock_here() {
    rcu_default_domain().lock();
}
NMIRCU_SITE(unlocker) void unlock_here() {
    rcu_default_domain().unlock();
}
NMIRCU_SITE(other_unlocker) void unlock_there() {
    rcu_default_domain().unlock();
}
NMIRCU_SITE(waiter) void wait_here() {
    nmircu::rcu_synchronize();
    asm volatile("");  // no tail call
}

TEST(rcu_misuse, unlocking_twice_names_both_unlocks_and_the_lock) {
    EXPECT_DEATH(
        {
            print_sites();
            lock_here();
            unlock_here();
            unlock_there();
        },
        AllOf(names("unlock called at ", "other_unlocker"),
              ContainsRegex(" on thread [1-9][0-9]*,"), names("last one was entered at ", "locker"),
              names("last unlock called at ", "unlocker")));
}

TEST(rcu_misuse, unlocking_on_a_thread_that_never_locked_says_so) {
    EXPECT_DEATH(
        {
            print_sites();
            std::thread([] { unlock_here(); }).join();
        },
        AllOf(names("unlock called at ", "unlocker"), HasSubstr("has never entered one")));
}

TEST(rcu_misuse, an_unlock_too_many_after_unchecked_code_names_its_lock) {
    EXPECT_DEATH(
        {
            print_sites();
            nmircu_test::unchecked_lock();
            nmircu_test::unchecked_unlock();
            unlock_here();
        },
        AllOf(names("unlock called at ", "unlocker"),
              names("last one was entered at ", "unchecked_locker")));
}

TEST(rcu_misuse, nesting_too_deep_names_the_lock_and_the_outermost) {
    EXPECT_DEATH(
        {
            print_sites();
            nmircu_test::unchecked_lock();
            for (int i = 0; i < 70'000; ++i)
                lock_here();
        },
        AllOf(names("lock called at ", "locker"),
              names("the outermost entered at ", "unchecked_locker")));
}

TEST(rcu_misuse, nesting_as_deep_as_allowed_is_left_alone) {
    for (int i = 0; i < 65'536; ++i)
        lock_here();
    for (int i = 0; i < 65'536; ++i)
        unlock_here();
    EXPECT_FALSE(nmircu::rcu_read_held());
    nmircu::rcu_synchronize();
}

TEST(rcu_misuse, checked_and_unchecked_code_share_sections) {
    nmircu_test::unchecked_lock();
    unlock_here();
    lock_here();
    nmircu_test::unchecked_lock();
    EXPECT_TRUE(nmircu::rcu_read_held());
    unlock_here();
    nmircu_test::unchecked_unlock();
    EXPECT_FALSE(nmircu::rcu_read_held());
    nmircu::rcu_synchronize();
}

TEST(rcu_misuse, waiting_inside_a_section_names_both_ends) {
    EXPECT_DEATH(
        {
            print_sites();
            lock_here();
            wait_here();
        },
        AllOf(names("rcu_synchronize called at ", "waiter"), names("entered at ", "locker"),
              Not(HasSubstr("longjmp"))));
}

// A function whose frame is gone by the time somebody waits.
[[gnu::noinline]] void lock_deep_below() {
    char room[4096];
    asm volatile("" : : "r"(room) : "memory");
    lock_here();
    asm volatile("" : : "r"(room) : "memory");
}

TEST(rcu_misuse, waiting_in_a_section_whose_frame_is_gone_mentions_longjmp) {
    EXPECT_DEATH(
        {
            print_sites();
            lock_deep_below();
            wait_here();
        },
        AllOf(names("rcu_synchronize called at ", "waiter"), names("entered at ", "locker"),
              HasSubstr("longjmp")));
}

TEST(rcu_misuse, a_scoped_lock_in_the_waiting_function_does_not_mention_longjmp) {
    EXPECT_DEATH(
        {
            print_sites();
            std::scoped_lock outer(rcu_default_domain());
            std::unique_lock inner(rcu_default_domain());
            wait_here();
        },
        AllOf(names("rcu_synchronize called at ", "waiter"), Not(HasSubstr("longjmp"))));
}

NMIRCU_SITE(caller_of_null)
void call_null(nmircu::rcu_head& head, void (*function)(nmircu::rcu_head*)) {
    nmircu::rcu_call(head, function);
    asm volatile("");
}

TEST(rcu_misuse, calling_a_null_function_names_the_call) {
    static nmircu::rcu_head head;
    EXPECT_DEATH(
        {
            print_sites();
            call_null(head, nullptr);
        },
        AllOf(names("rcu_call called at ", "caller_of_null"), HasSubstr("with a null function")));
}

struct base_object : nmircu::rcu_obj_base<base_object> {
    int value = 0;
};

NMIRCU_SITE(first_retirer) void retire_first(base_object* object) {
    object->retire();
    asm volatile("");
}
NMIRCU_SITE(second_retirer) void retire_second(base_object* object) {
    object->retire();
    asm volatile("");
}
NMIRCU_SITE(pointer_retirer) void retire_pointer(base_object* object) {
    nmircu::rcu_retire(object);
    asm volatile("");
}
void ignore(nmircu::rcu_head*) {}

// Here the base is not the first thing in the object.
struct later_base : std::array<long, 20>, nmircu::rcu_obj_base<later_base> {};
NMIRCU_SITE(null_retirer) void retire_null() {
    nmircu_test::nearly_null<later_base>()->retire();
    asm volatile("");
}

TEST(rcu_misuse, retiring_a_null_object_names_the_call) {
    const auto says = AllOf(HasSubstr(" on a null pointer; of the functions that retire"),
                            names("retire called at ", "null_retirer"));
    EXPECT_DEATH(
        {
            print_sites();
            retire_null();
        },
        says);
    EXPECT_DEATH(nmircu_test::unchecked_retire_null(),
                 HasSubstr(" on a null pointer; of the functions that retire"));
}
NMIRCU_SITE(first_caller) void call_first(nmircu::rcu_head& head) {
    nmircu::rcu_call(head, ignore);
    asm volatile("");
}
NMIRCU_SITE(second_caller) void call_second(nmircu::rcu_head& head) {
    nmircu::rcu_call(head, ignore);
    asm volatile("");
}

TEST(rcu_misuse, retiring_twice_names_both_calls) {
    EXPECT_DEATH(
        {
            print_sites();
            std::scoped_lock section(rcu_default_domain());
            static base_object between;
            auto* const object = new base_object;
            retire_first(object);
            retire_first(&between);
            retire_second(object);
        },
        AllOf(names(" retired at ", "second_retirer"),
              names("has been retired at ", "first_retirer")));
}

TEST(rcu_misuse, calling_twice_with_one_head_names_both_calls) {
    EXPECT_DEATH(
        {
            print_sites();
            std::scoped_lock section(rcu_default_domain());
            static nmircu::rcu_head heads[2];
            call_first(heads[0]);
            call_first(heads[1]);
            call_second(heads[0]);
        },
        AllOf(names(" retired at ", "second_caller"),
              names("has been retired at ", "first_caller")));
}

TEST(rcu_misuse, retiring_as_an_object_and_as_a_pointer_names_both_calls) {
    EXPECT_DEATH(
        {
            print_sites();
            std::scoped_lock section(rcu_default_domain());
            auto* const object = new base_object;
            retire_pointer(object);
            retire_second(object);
        },
        AllOf(names(" retired at ", "second_retirer"),
              names("has been retired at ", "pointer_retirer")));
    EXPECT_DEATH(
        {
            print_sites();
            std::scoped_lock section(rcu_default_domain());
            auto* const object = new base_object;
            retire_first(object);
            retire_pointer(object);
        },
        AllOf(names(" retired at ", "pointer_retirer"),
              names("has been retired at ", "first_retirer")));
}

// Unchecked code looks at the last object of the CPU's list only. The reclaimer may take the list
// between the two, hence the loop; the section keeps everything from being reclaimed.
TEST(rcu_misuse, unchecked_code_that_retires_twice_in_a_row_is_stopped) {
    static nmircu::rcu_head head;
    EXPECT_DEATH(
        {
            print_sites();
            std::scoped_lock section(rcu_default_domain());
            for (int i = 0; i < 1'000'000; ++i)
                nmircu_test::unchecked_call(head, ignore);
        },
        AllOf(names(" retired at ", "unchecked_caller"), HasSubstr("is retired already")));
}

// ---- what looks like retiring twice, and is not

TEST(rcu_misuse, a_head_may_be_used_again_once_its_function_runs) {
    static std::atomic<int> rounds{0};
    static nmircu::rcu_head head;
    static void (*again)(nmircu::rcu_head*) = nullptr;
    again = [](nmircu::rcu_head* given) {
        if (rounds.fetch_add(1) < 10) nmircu::rcu_call(*given, again);
    };
    nmircu::rcu_call(head, again);
    for (int i = 0; i < 12; ++i)
        nmircu::rcu_barrier();
    EXPECT_EQ(rounds.load(), 11);
}

TEST(rcu_misuse, memory_may_be_used_for_another_object) {
    for (int i = 0; i < 1000; ++i) {
        (new base_object)->retire();
        nmircu::rcu_retire(new base_object);
        if (i % 100 == 0) nmircu::rcu_barrier();
    }
    nmircu::rcu_barrier();
}

TEST(rcu_misuse, a_copy_of_a_retired_object_may_be_retired) {
    {
        std::scoped_lock section(rcu_default_domain());
        auto* const object = new base_object;
        object->retire();
        (new base_object(*object))->retire();
        auto* const third = new base_object;
        *third = *object;
        third->retire();
    }
    nmircu::rcu_barrier();
}

TEST(rcu_misuse, uninitialised_heads_may_be_used) {
    alignas(nmircu::rcu_head) static unsigned char memory[sizeof(nmircu::rcu_head)];
    std::memset(memory, 0xa5, sizeof(memory));
    nmircu::rcu_call(*reinterpret_cast<nmircu::rcu_head*>(memory), ignore);
    nmircu::rcu_barrier();
}

// The draft schedules evaluations; only two that delete collide.
TEST(rcu_misuse, several_deleters_may_look_at_one_object) {
    static std::atomic<int> calls{0};
    static int object;
    const auto count = [](const int*) { calls.fetch_add(1); };
    {
        std::scoped_lock section(rcu_default_domain());
        nmircu::rcu_retire(&object, count);
        nmircu::rcu_retire(&object, count);
        nmircu::rcu_retire(static_cast<int*>(nullptr));
        nmircu::rcu_retire(static_cast<int*>(nullptr));
    }
    nmircu::rcu_barrier();
    EXPECT_EQ(calls.load(), 2);
}

// Retired by one kind of code, reclaimed, and retired by the other.
TEST(rcu_misuse, checked_and_unchecked_code_share_retired_memory) {
    static nmircu::rcu_head head;
    for (int i = 0; i < 100; ++i) {
        if (i % 2 == 0) {
            nmircu::rcu_call(head, ignore);
            nmircu::rcu_retire(new int);
        } else {
            nmircu_test::unchecked_call(head, ignore);
            nmircu_test::unchecked_retire(new int);
        }
        nmircu::rcu_barrier();
    }
}

// More than the table holds.
TEST(rcu_misuse, a_flood_is_checked_as_far_as_there_is_room) {
    static std::atomic<int> deleted{0};
    struct counted : nmircu::rcu_obj_base<counted> {
        ~counted() { deleted.fetch_add(1); }
    };
    {
        std::scoped_lock section(rcu_default_domain());
        for (int i = 0; i < 50'000; ++i)
            (new counted)->retire();
    }
    nmircu::rcu_barrier();
    EXPECT_EQ(deleted.load(), 50'000);
}

// What the draft allows: the deleter gets the null pointer.
TEST(rcu_misuse, retiring_null_is_allowed) {
    static std::atomic<int> calls{0};
    nmircu::rcu_retire(static_cast<int*>(nullptr),
                       [](const int* p) { calls.fetch_add(p == nullptr ? 1 : 100); });
    nmircu::rcu_retire(static_cast<int*>(nullptr));
    nmircu::rcu_barrier();
    EXPECT_EQ(calls.load(), 1);
}

}  // namespace
