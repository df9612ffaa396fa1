// SPDX-License-Identifier: MIT
//
// Property: every function of the public headers whose context excludes handlers stops the program
// when a handler calls it, with a message that gives the call's address and the handler; and what a
// handler may call, it may.
#define NMIRCU_DEBUG 1
#include <mutex>
#include <ostream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nmircu/deferred.hpp>
#include <nmircu/irq.hpp>
#include <nmircu/nmi.hpp>
#include <nmircu/rcu.hpp>
#include <nmircu/rcu_stall.hpp>

#include "../sites.hpp"
#include "raise.hpp"

namespace {

using nmircu::pt_regs;
using nmircu_test::names;
using nmircu_test::print_sites;
using testing::AllOf;
using testing::HasSubstr;

// What a handler is made to call. Each in a function of its own, whose address must appear.
void (*act)() = nullptr;
NMIRCU_SITE(handler) int handle(void*, pt_regs*, int) {
    act();
    return 1;
}

nmircu::nmi_handler* other = nullptr;
nmircu::nmi_handler* culprit = nullptr;
nmircu::rcu_cookie passed_cookie;

NMIRCU_SITE(synchronize) void call_synchronize() {
    nmircu::rcu_synchronize();
    asm volatile("");  // no tail call
}
NMIRCU_SITE(barrier) void call_barrier() {
    nmircu::rcu_barrier();
    asm volatile("");
}
NMIRCU_SITE(poll_wait) void call_poll_wait() {
    nmircu::rcu_poll_wait(passed_cookie);
    asm volatile("");
}
NMIRCU_SITE(retire_pointer) void call_rcu_retire() {
    nmircu::rcu_retire(static_cast<int*>(nullptr));
    asm volatile("");
}
NMIRCU_SITE(start_reclaimer) void call_start_reclaimer() {
    static_cast<void>(nmircu::rcu_start_reclaimer());
    asm volatile("");
}
NMIRCU_SITE(attach) void call_attach() {
    static_cast<void>(nmircu::nmi_attach());
    asm volatile("");
}
NMIRCU_SITE(list_handlers) void call_nmi_handlers() {
    static_cast<void>(nmircu::nmi_handlers(nullptr, 0, nullptr, 0));
    asm volatile("");
}
NMIRCU_SITE(add) void call_add() {
    static_cast<void>(other->add(nmircu::nmi_type::local, "inner", handle, nullptr));
    asm volatile("");
}
NMIRCU_SITE(swap_it) void call_swap() {
    static_cast<void>(other->swap(handle, nullptr));
    asm volatile("");
}
NMIRCU_SITE(remove_it) void call_remove() {
    static_cast<void>(other->remove());
    asm volatile("");
}
NMIRCU_SITE(end_it) void call_destructor() {
    culprit->~nmi_handler();
    asm volatile("");
}
NMIRCU_SITE(register_it) void call_register() {
    nmircu::nmi_token token{};
    static_cast<void>(nmircu::register_nmi_handler(nmircu::nmi_type::local, handle, nullptr,
                                                   nmircu::nmi_flags::none, "inner", &token));
    asm volatile("");
}
NMIRCU_SITE(unregister_token) void call_unregister() {
    static_cast<void>(nmircu::unregister_nmi_handler(nmircu::nmi_token{1}));
    asm volatile("");
}
NMIRCU_SITE(unregister_name) void call_unregister_by_name() {
    static_cast<void>(nmircu::unregister_nmi_handler("culprit"));
    asm volatile("");
}
NMIRCU_SITE(unregister_in_time) void call_unregister_within() {
    static_cast<void>(nmircu::unregister_nmi_handler_within(nmircu::nmi_token{1}, 1000));
    asm volatile("");
}
NMIRCU_SITE(find_it) void call_find() {
    static_cast<void>(nmircu::find_nmi_handler("culprit"));
    asm volatile("");
}
NMIRCU_SITE(set_entry) void call_set_entry() {
    static_cast<void>(nmircu::nmi_set_entry(nullptr));
    asm volatile("");
}
NMIRCU_SITE(deferred_start) void call_deferred_start() {
    static_cast<void>(nmircu::deferred_start());
    asm volatile("");
}
NMIRCU_SITE(flush_all) void call_flush_all() {
    nmircu::deferred_flush_all();
    asm volatile("");
}
NMIRCU_SITE(set_stall_handler) void call_set_stall_handler() {
    nmircu::rcu_set_stall_handler(nullptr, nullptr);
    asm volatile("");
}
NMIRCU_SITE(list_readers) void call_list_readers() {
    static_cast<void>(nmircu::rcu_list_readers(nullptr, 0));
    asm volatile("");
}
NMIRCU_SITE(synchronize_line) void call_synchronize_irq() {
    static_cast<void>(nmircu::synchronize_irq(10));
    asm volatile("");
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

class interrupt_misuse_in_handler : public testing::TestWithParam<forbidden> {};

void call_in_handler(void (*call)()) {
    static nmircu::nmi_handler handler, second;
    ASSERT_EQ(nmircu::nmi_attach(), 0);
    act = call;
    other = &second;
    culprit = &handler;
    ASSERT_EQ(handler.add(nmircu::nmi_type::local, "culprit", handle, nullptr),
              nmircu::nmi_error::none);
    ASSERT_EQ(raise_here(), 0);
    ASSERT_EQ(handler.remove(), nmircu::nmi_error::none);
}

TEST_P(interrupt_misuse_in_handler, names_the_call_and_the_handler) {
    EXPECT_DEATH(
        {
            print_sites();
            call_in_handler(GetParam().call);
        },
        AllOf(names(GetParam().phrase, GetParam().site), names("in handler culprit (", "handler")));
}

INSTANTIATE_TEST_SUITE_P(
    every, interrupt_misuse_in_handler,
    testing::Values(
        forbidden{"rcu_synchronize", call_synchronize, "rcu_synchronize called at ", "synchronize"},
        forbidden{"rcu_barrier", call_barrier, "rcu_barrier called at ", "barrier"},
        forbidden{"rcu_poll_wait", call_poll_wait, "rcu_poll_wait called at ", "poll_wait"},
        forbidden{"rcu_retire", call_rcu_retire, "rcu_retire called at ", "retire_pointer"},
        forbidden{"rcu_start_reclaimer", call_start_reclaimer, "rcu_start_reclaimer called at ",
                  "start_reclaimer"},
        forbidden{"nmi_attach", call_attach, "nmi_attach called at ", "attach"},
        forbidden{"nmi_handlers", call_nmi_handlers, "nmi_handlers called at ", "list_handlers"},
        forbidden{"add", call_add, "nmi_handler::add called at ", "add"},
        forbidden{"swap", call_swap, "nmi_handler::swap called at ", "swap_it"},
        forbidden{"remove", call_remove, "nmi_handler::remove called at ", "remove_it"},
        forbidden{"destructor", call_destructor, "~nmi_handler called at ", "end_it"},
        forbidden{"register_nmi_handler", call_register, "register_nmi_handler called at ",
                  "register_it"},
        forbidden{"unregister_by_token", call_unregister, "unregister_nmi_handler called at ",
                  "unregister_token"},
        forbidden{"unregister_by_name", call_unregister_by_name,
                  "unregister_nmi_handler called at ", "unregister_name"},
        forbidden{"unregister_within", call_unregister_within,
                  "unregister_nmi_handler_within called at ", "unregister_in_time"},
        forbidden{"find_nmi_handler", call_find, "find_nmi_handler called at ", "find_it"},
        forbidden{"nmi_set_entry", call_set_entry, "nmi_set_entry called at ", "set_entry"},
        forbidden{"deferred_start", call_deferred_start, "deferred_start called at ",
                  "deferred_start"},
        forbidden{"deferred_flush_all", call_flush_all, "deferred_flush_all called at ",
                  "flush_all"},
        forbidden{"rcu_set_stall_handler", call_set_stall_handler,
                  "rcu_set_stall_handler called at ", "set_stall_handler"},
        forbidden{"rcu_list_readers", call_list_readers, "rcu_list_readers called at ",
                  "list_readers"},
        forbidden{"synchronize_irq", call_synchronize_irq, "synchronize_irq called at ",
                  "synchronize_line"}),
    [](const auto& parameter) { return parameter.param.name; });

struct node : nmircu::rcu_obj_base<node> {};
node* to_retire = nullptr;
nmircu::rcu_head to_call;
std::atomic<int> called{0};

TEST(interrupt_misuse, what_a_handler_may_call_it_may) {
    to_retire = new node;
    call_in_handler([] {
        std::scoped_lock section(nmircu::rcu_default_domain());
        EXPECT_TRUE(nmircu::rcu_read_held());
        EXPECT_TRUE(nmircu::in_nmi());
        to_retire->retire();
        nmircu::rcu_call(to_call, [](nmircu::rcu_head*) { called.fetch_add(1); });
        static_cast<void>(nmircu::rcu_poll_passed(nmircu::rcu_poll_start()));
        static_cast<void>(nmircu::rcu_poll_state());
        static_cast<void>(nmircu::rcu_read_statistics());
        nmircu::rcu_set_stall_limit(10'000);
        nmircu::rcu_set_backlog_limit(65'536);
        nmircu::unset_nmi_callback();
        nmircu::nmi_set_timing_interval(16);
    });
    nmircu::rcu_barrier();
    EXPECT_EQ(called.load(), 1);
    EXPECT_FALSE(nmircu::rcu_read_held());
    EXPECT_FALSE(nmircu::in_nmi());
}

NMIRCU_SITE(null_setter) void set_null() {
    nmircu::set_nmi_callback(nullptr);
    asm volatile("");
}

TEST(interrupt_misuse, a_null_callback_names_the_call) {
    EXPECT_DEATH(
        {
            print_sites();
            set_null();
        },
        AllOf(
            HasSubstr("with a null function"),
            names("set_nmi_callback (unset_nmi_callback removes one) called at ", "null_setter")));
}

TEST(interrupt_misuse, listing_handlers_inside_a_section_names_both_ends) {
    EXPECT_DEATH(
        {
            print_sites();
            std::scoped_lock section(nmircu::rcu_default_domain());
            call_nmi_handlers();
        },
        AllOf(names("nmi_handlers called at ", "list_handlers"), HasSubstr("entered at 0x")));
}

}  // namespace
