// SPDX-License-Identifier: MIT
//
// Property: each way of registering and unregistering does what it says, also from inside the
// handler it is about; whatever is refused changes nothing.
#include <atomic>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <nmircu/nmi.hpp>
#include <nmircu/platform/port.hpp>

#include "raise.hpp"

namespace {

using nmircu::nmi_error;
using nmircu::nmi_flags;
using nmircu::nmi_handler;
using nmircu::nmi_token;
using nmircu::nmi_type;
using nmircu::pt_regs;

std::string order;  // appended to in handlers of this thread; reserved beforehand

int append(void* cookie, pt_regs*, int) {
    order.push_back(*static_cast<const char*>(cookie));
    return 1;
}
int count(void* cookie, pt_regs*, int) {
    static_cast<std::atomic<long>*>(cookie)->fetch_add(1, std::memory_order_relaxed);
    return 1;
}

std::uint64_t claims_of(const char* name) {
    nmircu::nmi_handler_statistics all[nmircu::most_nmi_handlers];
    const unsigned there = nmircu::nmi_handlers(all, nmircu::most_nmi_handlers, nullptr, 0);
    for (unsigned i = 0; i < there; ++i) {
        if (std::string(all[i].name) == name) return all[i].handled;
    }
    return ~std::uint64_t{0};
}

unsigned registered() {
    return nmircu::nmi_handlers(nullptr, 0, nullptr, 0);
}

struct registration : testing::Test {
    void SetUp() override {
        ASSERT_EQ(nmircu::nmi_attach(), 0);
        nmircu::nmi_set_unknown_policy(nmircu::nmi_unknown_policy::ignore);
        order.clear();
        order.reserve(256);
    }
    void TearDown() override {
        nmircu::rcu_barrier();
        EXPECT_EQ(registered(), 0u);
    }
};

TEST_F(registration, by_token_and_by_name) {
    char a = 'a', b = 'b';
    nmi_token token{};
    ASSERT_EQ(nmircu::register_nmi_handler(nmi_type::local, append, &a, nmi_flags::none, "by token",
                                           &token),
              nmi_error::none);
    ASSERT_EQ(nmircu::register_nmi_handler(nmi_type::local, append, &b, nmi_flags::none, "by name"),
              nmi_error::none);
    EXPECT_EQ(nmircu::find_nmi_handler("by token"), token);
    EXPECT_EQ(nmircu::find_nmi_handler("nobody"), nmi_token{});
    static_cast<void>(raise_here());
    EXPECT_EQ(nmircu::unregister_nmi_handler(token), nmi_error::none);
    static_cast<void>(raise_here());
    EXPECT_EQ(nmircu::unregister_nmi_handler("by name"), nmi_error::none);
    static_cast<void>(raise_here());
    EXPECT_EQ(order, "abb");
    EXPECT_EQ(nmircu::unregister_nmi_handler(token), nmi_error::not_added);
    EXPECT_EQ(nmircu::unregister_nmi_handler("by name"), nmi_error::not_added);
}

TEST_F(registration, a_token_does_not_name_the_next_in_the_same_place) {
    char a = 'a';
    nmi_token old{}, next{};
    ASSERT_EQ(
        nmircu::register_nmi_handler(nmi_type::local, append, &a, nmi_flags::none, "old", &old),
        nmi_error::none);
    ASSERT_EQ(nmircu::unregister_nmi_handler(old), nmi_error::none);
    ASSERT_EQ(
        nmircu::register_nmi_handler(nmi_type::local, append, &a, nmi_flags::none, "next", &next),
        nmi_error::none);
    EXPECT_EQ(nmircu::unregister_nmi_handler(old), nmi_error::not_added);
    EXPECT_EQ(nmircu::unregister_nmi_handler_later(old, nullptr, nullptr), nmi_error::not_added);
    static_cast<void>(raise_here());
    EXPECT_EQ(order, "a");
    EXPECT_EQ(nmircu::unregister_nmi_handler(next), nmi_error::none);
}

TEST_F(registration, first_is_asked_before_those_who_were_there) {
    char a = 'a', b = 'b', c = 'c', d = 'd';
    nmi_handler last, middle, front, later;
    ASSERT_EQ(last.add(nmi_type::local, "a", append, &a), nmi_error::none);
    ASSERT_EQ(middle.add(nmi_type::local, "b", append, &b, nmi_flags::first), nmi_error::none);
    ASSERT_EQ(front.add(nmi_type::local, "c", append, &c, nmi_flags::first), nmi_error::none);
    ASSERT_EQ(later.add(nmi_type::local, "d", append, &d), nmi_error::none);
    static_cast<void>(raise_here());
    EXPECT_EQ(order, "cbad");
}

TEST_F(registration, bad_types_and_flags_change_nothing) {
    char a = 'a';
    nmi_token token{};
    EXPECT_EQ(nmircu::register_nmi_handler(nmi_type{7}, append, &a, nmi_flags::none, "x", &token),
              nmi_error::bad_type);
    EXPECT_EQ(nmircu::register_nmi_handler(nmi_type::local, append, &a, nmi_flags{6}, "x", &token),
              nmi_error::bad_flags);
    EXPECT_EQ(
        nmircu::register_nmi_handler(nmi_type::local, append, &a, nmi_flags::none, "", &token),
        nmi_error::bad_name);
    EXPECT_EQ(nmircu::unregister_nmi_handler(static_cast<const char*>(nullptr)),
              nmi_error::bad_name);
    EXPECT_EQ(nmircu::set_emergency_nmi_handler(nmi_type{3}, nullptr), nmi_error::bad_type);
    EXPECT_EQ(token, nmi_token{});
    EXPECT_EQ(registered(), 0u);
}

struct leaver {
    nmi_token token{};
    long calls = 0;
    nmi_error result = nmi_error::bad_type;
    std::atomic<bool> gone{false};
};
int leaves(void* cookie, pt_regs*, int) {
    auto* const self = static_cast<leaver*>(cookie);
    ++self->calls;
    self->result = nmircu::unregister_nmi_handler_later(
        self->token, [](void* argument) { static_cast<leaver*>(argument)->gone.store(true); },
        self);
    return 1;
}

TEST_F(registration, a_handler_removes_itself_and_is_never_called_again) {
    leaver self;
    char b = 'b';
    nmi_handler other;
    ASSERT_EQ(nmircu::register_nmi_handler(nmi_type::local, leaves, &self, nmi_flags::none,
                                           "leaves", &self.token),
              nmi_error::none);
    ASSERT_EQ(other.add(nmi_type::local, "stays", append, &b), nmi_error::none);
    for (int i = 0; i < 5; ++i)
        static_cast<void>(raise_here());
    EXPECT_EQ(self.calls, 1);
    EXPECT_EQ(self.result, nmi_error::none);
    EXPECT_EQ(order, "bbbbb");
    nmircu::rcu_barrier();
    EXPECT_TRUE(self.gone.load());
    EXPECT_EQ(nmircu::find_nmi_handler("leaves"), nmi_token{});
    EXPECT_EQ(nmircu::unregister_nmi_handler(self.token), nmi_error::not_added);
}

// One copies and publishes arrays all the time; handlers that leave meanwhile stay gone.
TEST_F(registration, a_handler_that_leaves_during_an_update_stays_gone) {
    std::atomic<bool> stop{false};
    std::thread updater([&] {
        char b = 'b';
        while (!stop.load()) {
            nmi_handler other;
            ASSERT_EQ(other.add(nmi_type::local, "other", append, &b), nmi_error::none);
        }
    });
    for (int round = 0; round < 300; ++round) {
        leaver self;
        ASSERT_EQ(nmircu::register_nmi_handler(nmi_type::local, leaves, &self, nmi_flags::none,
                                               "leaves", &self.token),
                  nmi_error::none);
        while (self.calls == 0) {
            order.clear();
            static_cast<void>(raise_here());
        }
        for (int i = 0; i < 3; ++i)
            static_cast<void>(raise_here());
        order.clear();
        EXPECT_EQ(self.calls, 1);
        nmircu::rcu_barrier();
        EXPECT_TRUE(self.gone.load());
    }
    stop.store(true);
    updater.join();
}

TEST_F(registration, an_object_whose_handler_left_waits_for_it) {
    leaver self;
    {
        nmi_handler handler;
        ASSERT_EQ(handler.add(nmi_type::local, "leaves", leaves, &self), nmi_error::none);
        self.token = handler.token();
        static_cast<void>(raise_here());
    }
    EXPECT_TRUE(self.gone.load());
    EXPECT_EQ(self.calls, 1);
}

struct owner {
    nmi_handler handler;
    std::atomic<bool>* freed;
    ~owner() { freed->store(true); }
};

TEST_F(registration, done_may_free_the_object_that_held_the_registration) {
    std::atomic<bool> freed{false};
    auto* const object = new owner{.handler = {}, .freed = &freed};
    ASSERT_EQ(object->handler.add(nmi_type::local, "owned", append, nullptr), nmi_error::none);
    ASSERT_EQ(
        nmircu::unregister_nmi_handler_later(
            object->handler.token(), [](void* it) { delete static_cast<owner*>(it); }, object),
        nmi_error::none);
    nmircu::rcu_barrier();
    EXPECT_TRUE(freed.load());
}

struct gate {
    std::atomic<bool> inside{false}, open{false};
    std::atomic<long> calls{0};
};
int waits_at_the_gate(void* cookie, pt_regs*, int) {
    auto* const self = static_cast<gate*>(cookie);
    self->calls.fetch_add(1);
    self->inside.store(true);
    while (!self->open.load()) {
    }
    return 1;
}

TEST_F(registration, a_removal_that_takes_too_long_leaves_everything_as_it_was) {
    gate self;
    nmi_token token{};
    ASSERT_EQ(nmircu::register_nmi_handler(nmi_type::local, waits_at_the_gate, &self,
                                           nmi_flags::none, "slow", &token),
              nmi_error::none);
    std::atomic<unsigned> stuck_thread{0};
    std::thread stuck([&] {
        stuck_thread.store(nmircu::platform::port::current_thread());
        static_cast<void>(raise_here());
    });
    while (!self.inside.load()) {
    }
    nmircu::nmi_still_inside who;
    EXPECT_EQ(nmircu::unregister_nmi_handler_within(token, 20'000'000, &who),
              nmi_error::still_running);
    ASSERT_EQ(who.threads, 1u);
    EXPECT_EQ(who.thread[0].thread, stuck_thread.load());
    EXPECT_STREQ(who.thread[0].handler[0].name, "slow");
    EXPECT_EQ(nmircu::find_nmi_handler("slow"), token);
    self.open.store(true);
    stuck.join();
    static_cast<void>(raise_here());
    EXPECT_EQ(self.calls.load(), 2);
    EXPECT_EQ(claims_of("slow"), 2u);
    EXPECT_EQ(nmircu::unregister_nmi_handler_within(token, 10'000'000'000), nmi_error::none);
    static_cast<void>(raise_here());
    EXPECT_EQ(self.calls.load(), 2);
}

std::atomic<long> emergencies{0};
int emergency(nmi_type type, pt_regs*) {
    emergencies.fetch_add(type == nmi_type::local ? 1 : 1000);
    return 1;
}

TEST_F(registration, the_emergency_handler_is_asked_instead_of_the_chain) {
    char a = 'a';
    nmi_handler handler;
    ASSERT_EQ(handler.add(nmi_type::local, "a", append, &a), nmi_error::none);
    ASSERT_EQ(nmircu::set_emergency_nmi_handler(nmi_type::local, emergency), nmi_error::none);
    static_cast<void>(raise_here());
    EXPECT_EQ(emergencies.load(), 1);
    EXPECT_EQ(order, "");
    ASSERT_EQ(nmircu::set_emergency_nmi_handler(nmi_type::local, nullptr), nmi_error::none);
    static_cast<void>(raise_here());
    EXPECT_EQ(emergencies.load(), 1);
    EXPECT_EQ(order, "a");
}

int add_to(std::atomic<long>& sum, pt_regs&, int) {
    sum.fetch_add(10);
    return 1;
}

TEST_F(registration, callables_and_cookies_by_reference) {
    long calls = 0;
    auto counting = [&](pt_regs& regs, int cpu) {
        calls += nmircu::instruction_pointer(&regs) != 0 && cpu >= 0;
        return 1;
    };
    std::atomic<long> sum{0};
    nmi_handler by_object, by_function;
    ASSERT_EQ(by_object.add(nmi_type::local, "object", counting), nmi_error::none);
    ASSERT_EQ(by_function.add<add_to>(nmi_type::local, "function", sum), nmi_error::none);
    long owned_calls = 0;
    {
        nmircu::nmi_function owned([&](pt_regs&, int) { return ++owned_calls, 1; });
        ASSERT_EQ(owned.add(nmi_type::local, "owned"), nmi_error::none);
        static_cast<void>(raise_here());
    }
    static_cast<void>(raise_here());
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(sum.load(), 20);
    EXPECT_EQ(owned_calls, 1);
}

std::atomic<long> plain_calls{0};
int plain_function(pt_regs&, int) {
    plain_calls.fetch_add(1);
    return 1;
}
int adds(const long& how_many, pt_regs&, int) {
    plain_calls.fetch_add(how_many);
    return 1;
}

TEST_F(registration, functions_and_const_objects_are_callables_and_cookies) {
    const auto constant = [](pt_regs&, int) {
        plain_calls.fetch_add(10);
        return 1;
    };
    const long hundred = 100;
    nmi_handler by_function, by_constant, by_cookie;
    ASSERT_EQ(by_function.add(nmi_type::local, "function", plain_function), nmi_error::none);
    ASSERT_EQ(by_constant.add(nmi_type::local, "constant", constant), nmi_error::none);
    ASSERT_EQ(by_cookie.add<adds>(nmi_type::local, "cookie", hundred), nmi_error::none);
    static_cast<void>(raise_here());
    EXPECT_EQ(plain_calls.load(), 111);
}

// Counts of a chain are its handlers' too, through every change of the chain.
TEST_F(registration, counts_add_up_whoever_else_is_in_the_chain) {
    std::atomic<long> always{0}, now_and_then{0};
    int turns = 0;
    auto every_third = [&](pt_regs&, int) { return ++turns % 3 == 0 ? 2 : 0; };
    nmi_handler constant, changing, third;
    ASSERT_EQ(constant.add(nmi_type::local, "constant", count, &always), nmi_error::none);
    for (int round = 0; round < 30; ++round) {
        static_cast<void>(raise_here());
        if (round % 5 == 2) {
            ASSERT_EQ(changing.add(nmi_type::local, "changing", count, &now_and_then),
                      nmi_error::none);
        }
        if (round % 5 == 4) {
            ASSERT_EQ(changing.remove(), nmi_error::none);
        }
        if (round == 10) {
            ASSERT_EQ(third.add(nmi_type::local, "third", every_third), nmi_error::none);
        }
        EXPECT_EQ(claims_of("constant"), std::uint64_t(round + 1));
    }
    EXPECT_EQ(always.load(), 30);
    EXPECT_EQ(now_and_then.load(), 12);
    EXPECT_EQ(claims_of("third"), std::uint64_t(turns / 3));
    nmircu::nmi_handler_statistics last;
    ASSERT_EQ(third.remove(&last), nmi_error::none);
    EXPECT_EQ(last.calls, 19u);
    EXPECT_EQ(last.calls, std::uint64_t(turns));
}

// The first registration of a type takes into use an array that nobody has filled before.
TEST(counts, of_one_type_stay_when_another_is_used_for_the_first_time) {
    ASSERT_EQ(nmircu::nmi_attach(), 0);
    std::atomic<long> calls{0};
    nmi_handler first, second, external;
    ASSERT_EQ(first.add(nmi_type::local, "first", count, &calls), nmi_error::none);
    ASSERT_EQ(second.add(nmi_type::local, "second", count, &calls), nmi_error::none);
    for (const nmi_type type : {nmi_type::external, nmi_type::unknown}) {
        static_cast<void>(raise_here());
        ASSERT_EQ(external.add(type, "external", count, &calls), nmi_error::none);
        ASSERT_EQ(external.remove(), nmi_error::none);
        ASSERT_EQ(second.swap(count, &calls), nmi_error::none);  // on to the chain's other array
    }
    EXPECT_EQ(claims_of("first"), 2u);
    EXPECT_EQ(claims_of("second"), 2u);
}

}  // namespace
