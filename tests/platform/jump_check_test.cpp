// SPDX-License-Identifier: MIT
//
// Property: in debug builds of the shared library a longjmp that leaves a read-side section stops
// the program and names both ends; every other longjmp does what libc's does.
#include <csetjmp>
#include <csignal>
#include <mutex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nmircu/rcu.hpp>

#include "../sites.hpp"

namespace {

using nmircu::rcu_default_domain;
using nmircu_test::names;
using nmircu_test::print_sites;
using testing::AllOf;
using testing::HasSubstr;

NMIRCU_SITE(locks) void lock_here() {
    rcu_default_domain().lock();
}
NMIRCU_SITE(jumps) void jump_to(std::jmp_buf& where) {
    std::longjmp(where, 1);
}
NMIRCU_SITE(jumps_with_mask) void jump_to_with_mask(sigjmp_buf& where) {
    siglongjmp(where, 1);
}

std::jmp_buf way_out;
sigjmp_buf way_out_with_mask;

NMIRCU_SITE(leaves) void leave_section() {
    if (setjmp(way_out) == 0) {
        lock_here();
        jump_to(way_out);
    }
}
void leave_section_with_mask() {
    if (sigsetjmp(way_out_with_mask, 1) == 0) {
        lock_here();
        jump_to_with_mask(way_out_with_mask);
    }
}
void leave_inner_section() {
    rcu_default_domain().lock();
    leave_section();
    rcu_default_domain().unlock();
}

TEST(jump_check, a_jump_out_of_a_section_names_both_ends) {
    EXPECT_DEATH(
        {
            print_sites();
            leave_section();
        },
        AllOf(names("longjmp called at ", "jumps"), names("section entered at ", "locks"),
              names("its setjmp was called at ", "leaves"), HasSubstr("outside sections")));
}

TEST(jump_check, so_does_siglongjmp) {
    EXPECT_DEATH(
        {
            print_sites();
            leave_section_with_mask();
        },
        AllOf(names("siglongjmp called at ", "jumps_with_mask"),
              names("section entered at ", "locks")));
}

TEST(jump_check, a_jump_out_of_the_inner_of_two_sections) {
    EXPECT_DEATH(
        {
            print_sites();
            leave_inner_section();
        },
        AllOf(names("longjmp called at ", "jumps"), names("section entered at ", "locks"),
              HasSubstr("outside this one")));
}

TEST(jump_check, a_jump_from_a_signal_handler_out_of_the_section_it_interrupted) {
    EXPECT_DEATH(
        {
            std::signal(SIGUSR2, [](int) { siglongjmp(way_out_with_mask, 1); });
            if (sigsetjmp(way_out_with_mask, 1) == 0) {
                const std::scoped_lock section(rcu_default_domain());
                std::raise(SIGUSR2);
            }
        },
        "siglongjmp called at 0x[0-9a-f]+ leaves the read-side critical section");
}

// ---- what is not misuse

TEST(jump_check, jumps_that_leave_no_section) {
    static int arrived = 0;
    for (const int round : {0, 1, 2}) {
        static_cast<void>(round);
        { const std::scoped_lock section(rcu_default_domain()); }
        if (setjmp(way_out) == 0) jump_to(way_out);
        ++arrived;
    }
    EXPECT_EQ(arrived, 3);
    EXPECT_FALSE(nmircu::rcu_read_held());
}

TEST(jump_check, jumps_within_a_section_entered_by_a_function_that_returned) {
    lock_here();
    static int arrived = 0;
    if (setjmp(way_out) == 0) jump_to(way_out);
    ++arrived;
    if (sigsetjmp(way_out_with_mask, 0) == 0) jump_to_with_mask(way_out_with_mask);
    ++arrived;
    EXPECT_TRUE(nmircu::rcu_read_held());
    rcu_default_domain().unlock();
    EXPECT_EQ(arrived, 2);
}

TEST(jump_check, a_jump_after_the_section) {
    static bool again = false;
    if (setjmp(way_out) == 0) {
        lock_here();
        rcu_default_domain().unlock();
        jump_to(way_out);
    }
    again = true;
    EXPECT_TRUE(again);
    EXPECT_FALSE(nmircu::rcu_read_held());
}

TEST(jump_check, values_masks_and_old_buffers_are_as_libc_has_them) {
    sigset_t only, before, now;
    sigemptyset(&only);
    sigaddset(&only, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, nullptr, &before);
    const int value = sigsetjmp(way_out_with_mask, 1);
    if (value == 0) {
        pthread_sigmask(SIG_BLOCK, &only, nullptr);
        siglongjmp(way_out_with_mask, 7);
    }
    EXPECT_EQ(value, 7);
    pthread_sigmask(SIG_SETMASK, nullptr, &now);
    EXPECT_EQ(sigismember(&now, SIGUSR2), sigismember(&before, SIGUSR2));
    // More buffers than are remembered: the first is unknown by now, and works.
    if (setjmp(way_out) == 0) {
        static std::jmp_buf others[64];
        for (std::jmp_buf& other : others) {
            if (setjmp(other) != 0) FAIL();
        }
        std::longjmp(way_out, 0);  // which setjmp returns 1 for
    }
}

}  // namespace
