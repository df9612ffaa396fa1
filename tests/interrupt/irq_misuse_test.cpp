// SPDX-License-Identifier: MIT
//
// Property: every function of irq.hpp whose context excludes handlers stops the program when a
// handler calls it, with a message that gives the call's address and the handler; so does a restore
// without a save; and what a handler may call, it may.
#define NMIRCU_DEBUG 1
#include <ostream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../sites.hpp"
#include "irq_lines.hpp"

namespace {

using namespace irq_test;
using nmircu::irq_error;
using nmircu::irq_handler;
using nmircu_test::names;
using nmircu_test::print_sites;
using testing::AllOf;
using testing::HasSubstr;

void (*act)() = nullptr;
NMIRCU_SITE(handler) int handle(void*, pt_regs*, int) {
    act();
    return nmircu::irq_handled;
}

irq_handler own, other;

NMIRCU_SITE(request_it) void call_request() {
    static_cast<void>(nmircu::request_irq(SIGUSR2, handle, {}, "inner", nullptr));
    asm volatile("");  // no tail call
}
NMIRCU_SITE(free_it) void call_free() {
    static_cast<void>(nmircu::free_irq(SIGUSR2, nullptr));
    asm volatile("");
}
NMIRCU_SITE(synchronize) void call_synchronize() {
    static_cast<void>(nmircu::synchronize_irq(SIGUSR1));
    asm volatile("");
}
NMIRCU_SITE(disable) void call_disable() {
    static_cast<void>(nmircu::disable_irq(SIGUSR1));
    asm volatile("");
}
NMIRCU_SITE(enable) void call_enable() {
    static_cast<void>(nmircu::enable_irq(SIGUSR1));
    asm volatile("");
}
NMIRCU_SITE(list_handlers) void call_irq_handlers() {
    static_cast<void>(nmircu::irq_handlers(nullptr, 0, nullptr, 0));
    asm volatile("");
}
NMIRCU_SITE(member_request) void call_member_request() {
    static_cast<void>(other.request(SIGUSR2, "inner", handle, nullptr));
    asm volatile("");
}
NMIRCU_SITE(member_release) void call_member_release() {
    static_cast<void>(other.release());
    asm volatile("");
}
NMIRCU_SITE(end_of_own) void call_destructor() {
    own.~irq_handler();
    asm volatile("");
}
NMIRCU_SITE(attach) void call_nmi_attach() {
    static_cast<void>(nmircu::nmi_attach());
    asm volatile("");
}

void call_in_handler(void (*call)()) {
    act = call;
    ASSERT_EQ(own.request(SIGUSR1, "culprit", handle, nullptr), irq_error::none);
    raise_line(SIGUSR1);
    ASSERT_EQ(own.release(), irq_error::none);
}

struct forbidden {
    const char* name;
    void (*call)();
    const char* phrase;
    const char* site;

    friend std::ostream& operator<<(std::ostream& out, const forbidden& one) {
        return out << one.name;
    }
};

class irq_misuse_in_handler : public testing::TestWithParam<forbidden> {};

TEST_P(irq_misuse_in_handler, names_the_call_and_the_handler) {
    EXPECT_DEATH(
        {
            print_sites();
            call_in_handler(GetParam().call);
        },
        AllOf(names(GetParam().phrase, GetParam().site), names("in handler culprit (", "handler")));
}

INSTANTIATE_TEST_SUITE_P(
    every, irq_misuse_in_handler,
    testing::Values(
        forbidden{"request_irq", call_request, "request_irq called at ", "request_it"},
        forbidden{"free_irq", call_free, "free_irq called at ", "free_it"},
        forbidden{"synchronize_irq", call_synchronize, "synchronize_irq called at ", "synchronize"},
        forbidden{"disable_irq", call_disable, "disable_irq called at ", "disable"},
        forbidden{"enable_irq", call_enable, "enable_irq called at ", "enable"},
        forbidden{"irq_handlers", call_irq_handlers, "irq_handlers called at ", "list_handlers"},
        forbidden{"request", call_member_request, "irq_handler::request called at ",
                  "member_request"},
        forbidden{"release", call_member_release, "irq_handler::release called at ",
                  "member_release"},
        forbidden{"destructor", call_destructor, "~irq_handler called at ", "end_of_own"},
        forbidden{"nmi_attach", call_nmi_attach, "nmi_attach called at ", "attach"}),
    [](const auto& parameter) { return parameter.param.name; });

NMIRCU_SITE(restores) void restore_alone() {
    nmircu::local_irq_restore({});
    asm volatile("");
}

TEST(irq_misuse, a_restore_without_a_save_names_the_call) {
    EXPECT_DEATH(
        {
            print_sites();
            restore_alone();
        },
        names("local_irq_restore called at ", "restores"));
}

TEST(irq_misuse, what_a_handler_may_call_it_may) {
    call_in_handler([] {
        EXPECT_TRUE(nmircu::in_irq());
        EXPECT_FALSE(nmircu::in_nmi());
        EXPECT_TRUE(nmircu::irqs_disabled());
        EXPECT_TRUE(nmircu::rcu_read_held());
        const nmircu::irq_flags flags = nmircu::local_irq_save();
        EXPECT_TRUE(nmircu::irqs_disabled());
        nmircu::local_irq_restore(flags);
        EXPECT_TRUE(nmircu::irqs_disabled());
        EXPECT_EQ(nmircu::disable_irq_nosync(SIGUSR1), irq_error::none);
        EXPECT_EQ(nmircu::irq_read_line(SIGUSR1).disabled, 1u);
        EXPECT_EQ(nmircu::irq_line_error(SIGUSR1), irq_error::none);
    });
    EXPECT_FALSE(nmircu::in_irq());
    EXPECT_FALSE(nmircu::irqs_disabled());
}

int crash(void*, pt_regs*, int) {
    __builtin_trap();  // which no sanitizer looks at
}

TEST(irq_misuse, a_fault_in_a_handler_names_it) {
    if (nmircu::detail::under_thread_sanitizer) GTEST_SKIP() << "it reports faults itself";
    EXPECT_DEATH(
        {
            // Where nobody else reports faults, the first interrupt that is taken makes us do it.
            signal(SIGILL, SIG_DFL);
            ASSERT_EQ(own.request(SIGRTMIN + 9, "crasher", crash, nullptr), irq_error::none);
            raise_line(SIGRTMIN + 9);
        },
        HasSubstr("in handler crasher ("));
}

}  // namespace
