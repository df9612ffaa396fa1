// SPDX-License-Identifier: MIT
//
// Property: a debug build of the library stops the program when a handler returns otherwise than it
// was called, or does not return at all, and names the handler and the address to blame; handlers
// that return as they were called are left alone, however they nest.
#include <csetjmp>
#include <mutex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nmircu/irq.hpp>
#include <nmircu/nmi.hpp>
#include <nmircu/rcu.hpp>

#include "../sites.hpp"
#include "raise.hpp"

static_assert(nmircu::detail::checks_misuse, "for debug builds");

namespace {

using nmircu::pt_regs;
using nmircu_test::names;
using nmircu_test::print_sites;
using testing::AllOf;
using testing::HasSubstr;

void take(nmircu::nmi_handler_t function) {
    static nmircu::nmi_handler handler;
    ASSERT_EQ(nmircu::nmi_attach(), 0);
    ASSERT_EQ(handler.add(nmircu::nmi_type::local, "culprit", function, nullptr),
              nmircu::nmi_error::none);
    ASSERT_EQ(raise_here(), 0);
    ASSERT_EQ(handler.remove(), nmircu::nmi_error::none);
}

NMIRCU_SITE(keeps) int keep_section(void*, pt_regs*, int) {
    nmircu::rcu_default_domain().lock();
    return 1;
}
NMIRCU_SITE(drops) int drop_section(void*, pt_regs*, int) {
    nmircu::rcu_default_domain().unlock();
    return 1;
}
NMIRCU_SITE(keeping_callback) int keep_in_callback(pt_regs*, int) {
    nmircu::rcu_default_domain().lock();
    return 1;
}
NMIRCU_SITE(enters) int enter_once_more(void*, pt_regs*, int) {
    nmircu::nmi_enter();
    return 1;
}

TEST(handler_check, a_section_kept_names_the_handler_and_the_lock) {
    EXPECT_DEATH(
        {
            print_sites();
            take(keep_section);
        },
        AllOf(names("handler culprit (", "keeps"), HasSubstr("has not left"),
              names("last lock was called at ", "keeps")));
}

TEST(handler_check, a_section_dropped_names_the_handler_and_the_unlock) {
    EXPECT_DEATH(
        {
            print_sites();
            take(drop_section);
        },
        AllOf(names("handler culprit (", "drops"), HasSubstr("had not entered"),
              names("last unlock was called at ", "drops")));
}

TEST(handler_check, the_callback_is_checked_too) {
    EXPECT_DEATH(
        {
            print_sites();
            ASSERT_EQ(nmircu::nmi_attach(), 0);
            nmircu::set_nmi_callback(keep_in_callback);
            raise_here();
        },
        AllOf(names("handler nmi callback (", "keeping_callback"),
              names("last lock was called at ", "keeping_callback")));
}

TEST(handler_check, nmi_enter_without_nmi_exit_names_the_handler) {
    EXPECT_DEATH(
        {
            print_sites();
            take(enter_once_more);
        },
        AllOf(names("handler culprit (", "enters"), HasSubstr("not in pairs")));
}

NMIRCU_SITE(masks) int mask_only(void*, pt_regs*, int) {
    static_cast<void>(nmircu::local_irq_save());
    return 1;
}

TEST(handler_check, irqs_left_masked_name_the_handler) {
    EXPECT_DEATH(
        {
            print_sites();
            take(mask_only);
        },
        AllOf(names("handler culprit (", "masks"), HasSubstr("local_irq_save")));
}

NMIRCU_SITE(exits) void exit_nmi() {
    nmircu::nmi_exit();
    asm volatile("");  // no tail call
}
NMIRCU_SITE(dispatches) void dispatch_outside() {
    nmircu::default_do_nmi(nullptr);
    asm volatile("");
}

TEST(handler_check, nmi_exit_without_nmi_enter_names_the_call) {
    EXPECT_DEATH(
        {
            print_sites();
            exit_nmi();
        },
        names("nmi_exit called at ", "exits"));
    EXPECT_DEATH(
        {
            print_sites();
            dispatch_outside();
        },
        names("default_do_nmi called at ", "dispatches"));
}

sigjmp_buf way_out;
NMIRCU_SITE(jumps) int jump_out(void*, pt_regs*, int) {
    siglongjmp(way_out, 1);
}

TEST(handler_check, a_handler_left_by_longjmp_is_named_at_the_next_interrupt) {
    EXPECT_DEATH(
        {
            print_sites();
            if (sigsetjmp(way_out, 1) == 0) take(jump_out);
            raise_here();
        },
        AllOf(names("handler culprit (", "jumps"), HasSubstr("longjmp")));
}

TEST(handler_check, a_handler_left_by_longjmp_is_named_at_the_next_wait) {
    EXPECT_DEATH(
        {
            print_sites();
            if (sigsetjmp(way_out, 1) == 0) take(jump_out);
            nmircu::rcu_synchronize();
        },
        AllOf(HasSubstr("rcu_synchronize called at"), names("in handler culprit (", "jumps")));
}

// ---- what returns as it was called

std::atomic<int> depth{0}, deepest{0};

int nest(void*, pt_regs*, int) {
    std::scoped_lock section(nmircu::rcu_default_domain());
    if (depth.fetch_add(1) < 3) {
        sigset_t all;
        sigfillset(&all);
        sigset_t before;
        pthread_sigmask(SIG_UNBLOCK, &all, &before);
        raise_here();
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
    deepest.fetch_add(1);
    return 1;
}

TEST(handler_check, nested_interrupts_are_left_alone) {
    for (int round = 1; round <= 3; ++round) {
        depth.store(0);
        std::scoped_lock section(nmircu::rcu_default_domain());
        nmircu::rcu_default_domain().unlock();
        take(nest);
        nmircu::rcu_default_domain().lock();
        EXPECT_EQ(deepest.load(), 4 * round);
    }
}

TEST(handler_check, an_alternate_stack_is_left_alone) {
    static char memory[65'536];
    const stack_t alternate{memory, 0, sizeof(memory)};
    stack_t before;
    ASSERT_EQ(sigaltstack(&alternate, &before), 0);
    depth.store(0);
    take(nest);
    ASSERT_EQ(sigaltstack(&before, nullptr), 0);
    depth.store(0);
    take(nest);
}

// A program's own signal handler may leave by longjmp, also when we handed it the signal.
TEST(handler_check, the_previous_owner_may_jump) {
    struct sigaction action = {};
    action.sa_handler = [](int) { siglongjmp(way_out, 1); };
    EXPECT_EXIT(
        {
            if (sigaction(SIGSTKFLT, &action, nullptr) != 0) _exit(2);
            if (nmircu::nmi_attach() != 0) _exit(3);
            for (int round = 0; round < 3; ++round) {
                if (sigsetjmp(way_out, 1) == 0) raise(SIGSTKFLT);
            }
            nmircu::rcu_synchronize();
            _exit(0);
        },
        testing::ExitedWithCode(0), "");
}

}  // namespace
