// SPDX-License-Identifier: MIT
//
// Property: a chain asks every handler, in order, exactly once an interrupt; and updates lose
// neither handlers nor counts.
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nmircu/nmi.hpp>

#include "raise.hpp"

namespace {

using nmircu::nmi_error;
using nmircu::nmi_handler;
using nmircu::nmi_type;
using nmircu::pt_regs;

std::string order;  // appended to in handlers of this thread; reserved beforehand

struct named {
    char letter;
    int handled;
};
int append(void* cookie, pt_regs*, int) {
    const auto* self = static_cast<const named*>(cookie);
    order.push_back(self->letter);
    return self->handled;
}
int count(void* cookie, pt_regs*, int) {
    static_cast<std::atomic<long>*>(cookie)->fetch_add(1, std::memory_order_relaxed);
    return 1;
}

struct nmi_chain : testing::Test {
    void SetUp() override {
        ASSERT_EQ(nmircu::nmi_attach(), 0);
        order.clear();
        order.reserve(256);
    }
};

TEST_F(nmi_chain, the_whole_chain_is_walked_even_after_a_claim) {
    named a{'a', 1}, b{'b', 0}, c{'c', 2};
    nmi_handler first, second, third;
    ASSERT_EQ(first.add(nmi_type::local, "first", append, &a), nmi_error::none);
    ASSERT_EQ(second.add(nmi_type::local, "second", append, &b), nmi_error::none);
    ASSERT_EQ(third.add(nmi_type::local, "third", append, &c), nmi_error::none);
    const auto unknown = nmircu::nmi_unknown_count();
    static_cast<void>(raise_here());
    EXPECT_EQ(order, "abc");
    EXPECT_EQ(nmircu::nmi_unknown_count(), unknown);
    ASSERT_EQ(second.remove(), nmi_error::none);
    static_cast<void>(raise_here());
    EXPECT_EQ(order, "abcac");
}

TEST_F(nmi_chain, remove_hands_over_the_final_counts) {
    std::atomic<long> hits{0};
    nmi_handler handler;
    ASSERT_EQ(handler.add(nmi_type::local, "counted", count, &hits), nmi_error::none);
    for (int i = 0; i < 7; ++i)
        static_cast<void>(nmircu::nmi_raise_self());
    nmircu::nmi_handler_statistics last;
    std::vector<std::uint64_t> claims(1024);
    ASSERT_EQ(handler.remove(&last, claims.data(), 1024), nmi_error::none);
    EXPECT_STREQ(last.name, "counted");
    EXPECT_EQ(last.calls, 7u);
    EXPECT_EQ(last.handled, 7u);
    EXPECT_EQ(std::accumulate(claims.begin(), claims.end(), std::uint64_t{0}), 7u);
}

TEST_F(nmi_chain, handlers_of_type_unknown_are_asked_last_and_can_claim) {
    named late{'u', 1};
    nmi_handler handler;
    ASSERT_EQ(handler.add(nmi_type::unknown, "late", append, &late), nmi_error::none);
    const auto unknown = nmircu::nmi_unknown_count();
    static_cast<void>(raise_here());
    EXPECT_EQ(order, "u");
    EXPECT_EQ(nmircu::nmi_unknown_count(), unknown);
}

TEST_F(nmi_chain, swap_exchanges_the_function_and_keeps_the_counts) {
    std::atomic<long> old_calls{0}, new_calls{0};
    nmi_handler handler;
    ASSERT_EQ(handler.add(nmi_type::local, "swapped", count, &old_calls), nmi_error::none);
    static_cast<void>(raise_here());
    ASSERT_EQ(handler.swap(count, &new_calls), nmi_error::none);
    static_cast<void>(raise_here());
    EXPECT_EQ(old_calls.load(), 1);
    EXPECT_EQ(new_calls.load(), 1);
    nmircu::nmi_handler_statistics statistics;
    ASSERT_EQ(nmircu::nmi_handlers(&statistics, 1, nullptr, 0), 1u);
    EXPECT_STREQ(statistics.name, "swapped");
    EXPECT_EQ(statistics.generation, 2u);
    EXPECT_EQ(statistics.calls, 2u);
    EXPECT_EQ(statistics.handled, 2u);
}

TEST_F(nmi_chain, counts_and_times) {
    nmircu::nmi_set_timing_interval(1);
    named yes{'y', 1}, no{'n', 0};
    nmi_handler claims, passes;
    ASSERT_EQ(claims.add(nmi_type::local, "claims", append, &yes), nmi_error::none);
    ASSERT_EQ(passes.add(nmi_type::local, "passes", append, &no), nmi_error::none);
    // The first dispatch may use up what is left of the previous interval.
    for (int i = 0; i < 100; ++i)
        static_cast<void>(raise_here());
    nmircu::nmi_handler_statistics statistics[2];
    std::vector<std::uint64_t> per_cpu(2 * nmircu::detail::max_cpus);
    ASSERT_EQ(nmircu::nmi_handlers(statistics, 2, per_cpu.data(), nmircu::detail::max_cpus), 2u);
    EXPECT_EQ(statistics[0].calls, 100u);
    EXPECT_EQ(statistics[0].handled, 100u);
    EXPECT_EQ(statistics[1].calls, 100u);
    EXPECT_EQ(statistics[1].handled, 0u);
    EXPECT_GE(statistics[0].timed_calls, 84u);
    EXPECT_GE(statistics[0].total_ns, statistics[0].longest_ns);
    EXPECT_GT(statistics[0].longest_ns, 0u);
    std::uint64_t sum = 0;
    for (unsigned cpu = 0; cpu < nmircu::detail::max_cpus; ++cpu)
        sum += per_cpu[cpu];
    EXPECT_EQ(sum, 100u);
    nmircu::nmi_set_timing_interval(16);
}

TEST_F(nmi_chain, a_number_is_reused_with_fresh_counts) {
    std::atomic<long> calls{0};
    for (int round = 0; round < 3; ++round) {
        nmi_handler handler;
        ASSERT_EQ(handler.add(nmi_type::local, "again", count, &calls), nmi_error::none);
        static_cast<void>(raise_here());
        nmircu::nmi_handler_statistics statistics;
        ASSERT_EQ(nmircu::nmi_handlers(&statistics, 1, nullptr, 0), 1u);
        EXPECT_EQ(statistics.calls, 1u);
        EXPECT_EQ(statistics.generation, 1u);
    }
}

TEST_F(nmi_chain, bad_registrations_change_nothing) {
    named a{'a', 1};
    nmi_handler good, other;
    EXPECT_EQ(good.add(nmi_type::local, "x", nullptr, nullptr), nmi_error::null_handler);
    EXPECT_EQ(good.add(nmi_type::local, nullptr, append, &a), nmi_error::bad_name);
    EXPECT_EQ(good.add(nmi_type::local, "", append, &a), nmi_error::bad_name);
    EXPECT_EQ(good.add(nmi_type::local, "a name of thirty-two characters!", append, &a),
              nmi_error::bad_name);
    EXPECT_EQ(good.remove(), nmi_error::not_added);
    EXPECT_EQ(good.swap(append, &a), nmi_error::not_added);
    ASSERT_EQ(good.add(nmi_type::local, "a name of thirty-one characters", append, &a),
              nmi_error::none);
    EXPECT_EQ(good.add(nmi_type::local, "second", append, &a), nmi_error::already_added);
    EXPECT_EQ(good.swap(nullptr, nullptr), nmi_error::null_handler);
    EXPECT_EQ(other.add(nmi_type::unknown, "a name of thirty-one characters", append, &a),
              nmi_error::name_taken);
    static_cast<void>(raise_here());
    EXPECT_EQ(order, "a");
}

TEST_F(nmi_chain, sixty_four_handlers_and_no_more) {
    std::atomic<long> calls{0};
    {
        std::vector<nmi_handler> handlers(nmircu::most_nmi_handlers);
        for (unsigned i = 0; i < handlers.size(); ++i) {
            ASSERT_EQ(
                handlers[i].add(nmi_type::local, ("h" + std::to_string(i)).c_str(), count, &calls),
                nmi_error::none);
        }
        nmi_handler one_more;
        EXPECT_EQ(one_more.add(nmi_type::local, "one-more", count, &calls), nmi_error::too_many);
        static_cast<void>(raise_here());
        EXPECT_EQ(calls.load(), 64);
    }
    EXPECT_EQ(nmircu::nmi_handlers(nullptr, 0, nullptr, 0), 0u);
    static_cast<void>(raise_here());
    EXPECT_EQ(calls.load(), 64);
}

int removes_itself(void* cookie, pt_regs*, int) {
    static_cast<void>(static_cast<nmi_handler*>(cookie)->remove());
    return 1;
}

TEST_F(nmi_chain, removing_inside_a_handler_stops_the_program_and_names_both) {
    EXPECT_DEATH(
        {
            nmi_handler handler;
            if (handler.add(nmi_type::local, "suicidal", removes_itself, &handler) ==
                nmi_error::none) {
                raise_here();
            }
        },
        "nmi_handler::remove called at 0x[0-9a-f]+ inside a read-side critical section entered at "
        "0x[0-9a-f]+, in handler suicidal");
}

TEST_F(nmi_chain, concurrent_updates_lose_nothing) {
    std::atomic<long> calls{0}, raised{0};
    std::atomic<bool> stop{false};
    nmi_handler constant;
    std::atomic<long> constant_calls{0};
    ASSERT_EQ(constant.add(nmi_type::local, "constant", count, &constant_calls), nmi_error::none);
    std::thread storm([&] {
        while (!stop.load()) {
            if (raise_here() == 0) raised.fetch_add(1);
        }
    });
    std::vector<std::thread> updaters;
    for (int i = 0; i < 4; ++i) {
        updaters.emplace_back([&, i] {
            const std::string name = "updater" + std::to_string(i);
            // On until the storm has hit one of them.
            for (int round = 0; round < 50 || calls.load() == 0; ++round) {
                nmi_handler handler;
                ASSERT_EQ(handler.add(nmi_type::local, name.c_str(), count, &calls),
                          nmi_error::none);
                ASSERT_EQ(handler.swap(count, &calls), nmi_error::none);
            }
        });
    }
    for (auto& updater : updaters)
        updater.join();
    stop.store(true);
    storm.join();
    EXPECT_GT(calls.load(), 0);
    EXPECT_EQ(constant_calls.load(), raised.load());
    EXPECT_EQ(nmircu::nmi_handlers(nullptr, 0, nullptr, 0), 1u);
}

}  // namespace
