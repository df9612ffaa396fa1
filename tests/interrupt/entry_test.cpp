// SPDX-License-Identifier: MIT
//
// Property: a program's own do_nmi behind the vector takes every NMI while it is set and none
// afterwards; nmi_set_entry waits for whoever is inside the old one; and no count is lost on the
// way there and back.
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nmircu/nmi.hpp>

#include "../support/in_child.hpp"
#include "raise.hpp"

namespace {

using nmircu::nmi_set_entry;
using nmircu::pt_regs;

std::atomic<std::uint64_t> entered{0};
std::atomic<bool> was_read_held{false};

std::uint64_t nmis_taken() {
    std::uint64_t sum = 0;
    for (int cpu = 0; cpu < int(nmircu::detail::max_cpus); ++cpu)
        sum += nmircu::nmi_count(cpu);
    return sum;
}

void count_as_programs_do() {
    std::uint64_t& word = nmircu::detail::nmi_count_word(nmircu::smp_processor_id());
    __atomic_fetch_add(&word, 1, __ATOMIC_RELAXED);
}

// nmi_enter comes second, to see that the vector is inside a section without it.
void own_entry(pt_regs*, long) {
    was_read_held.store(nmircu::rcu_read_held() && !nmircu::in_nmi());
    nmircu::nmi_enter();
    entered.fetch_add(1);
    count_as_programs_do();
    nmircu::nmi_exit();
}
void other_entry(pt_regs* regs, long error_code) {
    own_entry(regs, error_code);
}
void entry_with_the_default_action(pt_regs* regs, long) {
    nmircu::nmi_enter();
    count_as_programs_do();
    nmircu::default_do_nmi(regs);
    nmircu::nmi_exit();
}

// First, and in a process of its own each: before nmi_set_entry has ever been called.
TEST(a_new_process, setting_the_entry_takes_the_interrupt) {
    EXPECT_EQ(nmircu_test::in_child([] {
                  if (nmi_set_entry(own_entry) != 0) return 1;
                  return raise_here() == 0 && entered.load() == 1 ? 0 : 2;
              }),
              0);
}

TEST(a_new_process, what_was_counted_before_is_in_the_lvalue_afterwards) {
    EXPECT_EQ(nmircu_test::in_child([] {
                  if (nmircu::nmi_attach() != 0) return 1;
                  for (int i = 0; i < 10; ++i)
                      static_cast<void>(raise_here());
                  if (nmis_taken() != 10) return 2;
                  if (nmi_set_entry(nullptr) != 0) return 3;
                  std::uint64_t words = 0;
                  for (int cpu = 0; cpu < int(nmircu::detail::max_cpus); ++cpu)
                      words += nmircu::detail::nmi_count_word(cpu);
                  return words == 10 && nmis_taken() == 10 ? 0 : 4;
              }),
              0);
}

struct nmi_entry : testing::Test {
    void SetUp() override { ASSERT_EQ(nmircu::nmi_attach(), 0); }
    void TearDown() override { EXPECT_EQ(nmi_set_entry(nullptr), 0); }
};

TEST_F(nmi_entry, it_takes_the_nmis_until_ours_is_back) {
    const auto before = entered.load(), taken = nmis_taken(), unknown = nmircu::nmi_unknown_count();
    ASSERT_EQ(nmi_set_entry(own_entry), 0);
    EXPECT_EQ(raise_here(), 0);
    EXPECT_EQ(raise_here(), 0);
    EXPECT_EQ(entered.load(), before + 2);
    EXPECT_TRUE(was_read_held.load());
    EXPECT_FALSE(nmircu::rcu_read_held());
    EXPECT_EQ(nmircu::nmi_unknown_count(), unknown);
    ASSERT_EQ(nmi_set_entry(nullptr), 0);
    EXPECT_EQ(raise_here(), 0);
    EXPECT_EQ(entered.load(), before + 2);
    EXPECT_EQ(nmircu::nmi_unknown_count(), unknown + 1);
    EXPECT_EQ(nmis_taken(), taken + 3);
}

int claims(void* cookie, pt_regs*, int) {
    static_cast<std::atomic<int>*>(cookie)->fetch_add(1);
    return 1;
}

TEST_F(nmi_entry, the_default_action_can_be_had_from_there) {
    std::atomic<int> claimed{0};
    const auto unknown = nmircu::nmi_unknown_count();
    ASSERT_EQ(nmi_set_entry(entry_with_the_default_action), 0);
    EXPECT_EQ(raise_here(), 0);
    EXPECT_EQ(nmircu::nmi_unknown_count(), unknown + 1);
    nmircu::nmi_handler handler;
    ASSERT_EQ(handler.add(nmircu::nmi_type::local, "claims", claims, &claimed),
              nmircu::nmi_error::none);
    EXPECT_EQ(raise_here(), 0);
    EXPECT_EQ(claimed.load(), 1);
    EXPECT_EQ(nmircu::nmi_unknown_count(), unknown + 1);
}

TEST_F(nmi_entry, our_own_do_nmi_may_be_the_entry_or_be_called_by_it) {
    const auto taken = nmis_taken(), unknown = nmircu::nmi_unknown_count();
    ASSERT_EQ(nmi_set_entry(nmircu::do_nmi), 0);
    EXPECT_EQ(raise_here(), 0);
    ASSERT_EQ(nmi_set_entry([](pt_regs* regs, long code) { nmircu::do_nmi(regs, code); }), 0);
    EXPECT_EQ(raise_here(), 0);
    EXPECT_EQ(nmis_taken(), taken + 2);
    EXPECT_EQ(nmircu::nmi_unknown_count(), unknown + 2);
}

std::atomic<bool> inside{false}, may_go{false};

void lingering_entry(pt_regs*, long) {
    inside.store(true);
    while (!may_go.load()) {
    }
}

TEST_F(nmi_entry, nobody_is_inside_the_old_one_when_it_returns) {
    ASSERT_EQ(nmi_set_entry(lingering_entry), 0);
    std::thread interrupted([] { static_cast<void>(raise_here()); });
    while (!inside.load())
        std::this_thread::yield();
    std::atomic<bool> returned{false};
    std::thread updater([&] {
        EXPECT_EQ(nmi_set_entry(nullptr), 0);
        returned.store(true);
    });
    while (nmircu::detail::default_domain.waiting.load() == 0)
        std::this_thread::yield();
    EXPECT_FALSE(returned.load());
    may_go.store(true);
    updater.join();
    interrupted.join();
    EXPECT_TRUE(returned.load());
}

void entry_that_spoils_errno(pt_regs*, long) {
    errno = 4711;
}

TEST_F(nmi_entry, errno_is_preserved) {
    ASSERT_EQ(nmi_set_entry(entry_that_spoils_errno), 0);
    errno = EXDEV;
    EXPECT_EQ(raise_here(), 0);
    EXPECT_EQ(errno, EXDEV);
}

TEST_F(nmi_entry, no_count_is_lost_while_entries_are_swapped_under_a_storm) {
    const auto taken = nmis_taken(), unknown = nmircu::nmi_unknown_count();
    const auto before = entered.load();
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            // The updater gets its turn among threads that never sleep.
            setpriority(PRIO_PROCESS, id_t(syscall(SYS_gettid)), 10);
            while (!stop.load())
                static_cast<void>(raise_here());
        });
    }
    // On until the storm has hit ours and the program's.
    for (int i = 0; i < 150 || entered.load() == before || nmircu::nmi_unknown_count() == unknown;
         ++i) {
        EXPECT_EQ(nmi_set_entry(i % 3 == 0 ? nullptr : i % 3 == 1 ? own_entry : other_entry), 0);
        std::this_thread::yield();
    }
    stop.store(true);
    for (auto& thread : threads)
        thread.join();
    EXPECT_EQ(nmis_taken() - taken,
              (entered.load() - before) + (nmircu::nmi_unknown_count() - unknown));
}

TEST_F(nmi_entry, a_forked_child_keeps_it) {
    ASSERT_EQ(nmi_set_entry(own_entry), 0);
    EXPECT_EQ(nmircu_test::in_child([] {
                  const auto before = entered.load();
                  if (raise_here() != 0 || entered.load() != before + 1) return 1;
                  if (nmi_set_entry(nullptr) != 0 || raise_here() != 0) return 2;
                  return entered.load() == before + 1 ? 0 : 3;
              }),
              0);
}

void entry_that_sets_the_entry(pt_regs*, long) {
    static_cast<void>(nmi_set_entry(nullptr));
}

TEST_F(nmi_entry, setting_it_inside_one_stops_the_program) {
    EXPECT_DEATH(
        {
            static_cast<void>(nmi_set_entry(entry_that_sets_the_entry));
            raise_here();
        },
        "nmircu: nmi_set_entry called at 0x[0-9a-f]+ inside a read-side critical section entered "
        "at "
        "0x[0-9a-f]+, in handler do_nmi");
}

}  // namespace
