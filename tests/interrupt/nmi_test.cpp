// SPDX-License-Identifier: MIT
//
// Property: do_nmi does what the documents say: count, callback, default action; and leaves the
// interrupted thread as it was.
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include <gtest/gtest.h>
#include <nmircu/nmi.hpp>

#include "raise.hpp"

namespace {

using nmircu::pt_regs;

std::uint64_t nmis_taken() {
    std::uint64_t sum = 0;
    for (int cpu = 0; cpu < int(nmircu::detail::max_cpus); ++cpu)
        sum += nmircu::nmi_count(cpu);
    return sum;
}

struct nmi : testing::Test {
    void SetUp() override { ASSERT_EQ(nmircu::nmi_attach(), 0); }
    void TearDown() override {
        nmircu::unset_nmi_callback();
        nmircu::rcu_synchronize();
    }
};

std::atomic<long> callback_calls{0};
std::atomic<int> seen_cpu{-1};
std::atomic<bool> was_in_nmi{false}, was_read_held{false};

int claiming_callback(pt_regs*, int cpu) {
    callback_calls.fetch_add(1);
    seen_cpu.store(cpu);
    was_in_nmi.store(nmircu::in_nmi());
    was_read_held.store(nmircu::rcu_read_held());
    return 1;
}
int declining_callback(pt_regs*, int) {
    callback_calls.fetch_add(1);
    return 0;
}

TEST_F(nmi, the_callback_gets_the_interrupt_and_the_cpu) {
    const auto before = nmis_taken();
    const long calls = callback_calls.load();
    nmircu::set_nmi_callback(claiming_callback);
    EXPECT_EQ(raise_here(), 0);
    EXPECT_EQ(callback_calls.load(), calls + 1);
    EXPECT_EQ(nmis_taken(), before + 1);
    EXPECT_GE(seen_cpu.load(), 0);
    EXPECT_TRUE(was_in_nmi.load());
    EXPECT_TRUE(was_read_held.load());
    EXPECT_FALSE(nmircu::in_nmi());
    EXPECT_FALSE(nmircu::rcu_read_held());
}

TEST_F(nmi, with_the_dummy_callback_it_is_unknown) {
    const auto before = nmircu::nmi_unknown_count();
    EXPECT_EQ(raise_here(), 0);
    EXPECT_EQ(nmircu::nmi_unknown_count(), before + 1);
}

TEST_F(nmi, a_callback_that_declines_gets_the_default_action) {
    const auto before = nmircu::nmi_unknown_count();
    const long calls = callback_calls.load();
    nmircu::set_nmi_callback(declining_callback);
    EXPECT_EQ(raise_here(), 0);
    EXPECT_EQ(callback_calls.load(), calls + 1);
    EXPECT_EQ(nmircu::nmi_unknown_count(), before + 1);
}

int spoils_errno(pt_regs*, int) {
    errno = 4711;
    return 1;
}

TEST_F(nmi, errno_is_preserved) {
    nmircu::set_nmi_callback(spoils_errno);
    errno = EXDEV;
    EXPECT_EQ(raise_here(), 0);
    EXPECT_EQ(errno, EXDEV);
}

std::atomic<std::uintptr_t> seen_ip{0}, seen_sp{0};

int looks_at_registers(pt_regs* regs, int) {
    seen_ip.store(nmircu::instruction_pointer(regs));
    seen_sp.store(nmircu::user_stack_pointer(regs));
    return 1;
}

TEST_F(nmi, the_registers_are_those_of_the_interrupted_thread) {
    nmircu::set_nmi_callback(looks_at_registers);
    char here;
    EXPECT_EQ(raise_here(), 0);
    EXPECT_NE(seen_ip.load(), 0u);
    const auto local = reinterpret_cast<std::uintptr_t>(&here);
    EXPECT_LT(local - seen_sp.load() + 65536, 131072u) << "not this thread's stack";
}

TEST_F(nmi, raised_on_another_thread) {
    nmircu::set_nmi_callback(claiming_callback);
    const long calls = callback_calls.load();
    std::atomic<int> tid{0};
    std::atomic<bool> stop{false};
    std::thread other([&] {
        tid.store(int(syscall(SYS_gettid)));
        while (!stop.load()) {
        }
    });
    while (tid.load() == 0)
        std::this_thread::yield();
    EXPECT_EQ(nmircu::nmi_raise(tid.load()), 0);
    while (callback_calls.load() == calls)
        std::this_thread::yield();
    stop.store(true);
    other.join();
    // The kernel says that a thread has ended a moment before its number is gone.
    int gone = 0;
    while ((gone = nmircu::nmi_raise(tid.load())) == 0)
        std::this_thread::yield();
    EXPECT_EQ(gone, ESRCH);
    EXPECT_EQ(nmircu::nmi_raise(0), ESRCH);
    EXPECT_EQ(nmircu::nmi_raise(-1), ESRCH);
}

TEST_F(nmi, cpus_that_do_not_exist_have_taken_none) {
    EXPECT_EQ(nmircu::nmi_count(-1), 0u);
    EXPECT_EQ(nmircu::nmi_count(1 << 20), 0u);
}

int synchronizes(pt_regs*, int) {
    nmircu::rcu_synchronize();
    return 1;
}

TEST_F(nmi, synchronize_inside_a_handler_stops_the_program) {
    EXPECT_DEATH(
        {
            nmircu::set_nmi_callback(synchronizes);
            raise_here();
        },
        "nmircu: rcu_synchronize called at 0x[0-9a-f]+ inside a read-side critical section");
}

// The documents' four lines, with a reader in the handler at the moment of the free.
struct my_nmi_data {
    std::atomic<int> alive{1};
};
std::atomic<my_nmi_data*> nmi_data{nullptr};
std::atomic<bool> handler_inside{false}, handler_may_go{false}, saw_dead_data{false};

int lingering_callback(pt_regs*, int) {
    my_nmi_data* const data = nmircu::rcu_dereference(nmi_data);
    handler_inside.store(true);
    while (!handler_may_go.load()) {
    }
    if (data->alive.load() != 1) saw_dead_data.store(true);
    return 1;
}

TEST_F(nmi, synchronize_waits_for_a_running_handler) {
    nmi_data.store(new my_nmi_data);
    nmircu::set_nmi_callback(lingering_callback);
    std::thread interrupted([] { static_cast<void>(raise_here()); });
    while (!handler_inside.load())
        std::this_thread::yield();

    std::atomic<bool> freed{false};
    std::thread updater([&] {
        nmircu::unset_nmi_callback();
        nmircu::rcu_synchronize();
        nmi_data.load()->alive.store(0);
        delete nmi_data.load();
        freed.store(true);
    });
    auto& waiting = nmircu::detail::default_domain.waiting;
    while (waiting.load() == 0)
        std::this_thread::yield();
    EXPECT_FALSE(freed.load());
    handler_may_go.store(true);
    updater.join();
    interrupted.join();
    EXPECT_TRUE(freed.load());
    EXPECT_FALSE(saw_dead_data.load());
}

TEST_F(nmi, in_the_first_instant_of_a_thread_and_during_its_exit) {
    nmircu::set_nmi_callback(claiming_callback);
    const long calls = callback_calls.load();
    struct raises_at_exit {
        ~raises_at_exit() { static_cast<void>(raise_here()); }
    };
    for (int i = 0; i < 100; ++i) {
        std::thread([] {
            static_cast<void>(raise_here());
            static thread_local raises_at_exit at_exit;
            static_cast<void>(at_exit);
        }).join();
    }
    EXPECT_EQ(callback_calls.load(), calls + 200);
    nmircu::rcu_synchronize();
}

TEST_F(nmi, on_an_alternate_stack_and_on_a_small_one) {
    nmircu::set_nmi_callback(looks_at_registers);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    ASSERT_EQ(pthread_attr_setstacksize(&attributes, 64 * 1024), 0);
    pthread_t thread;
    ASSERT_EQ(pthread_create(
                  &thread, &attributes,
                  [](void*) -> void* {
                      static char memory[64 * 1024];
                      const stack_t stack{memory, 0, sizeof(memory)};
                      EXPECT_EQ(sigaltstack(&stack, nullptr), 0);
                      EXPECT_EQ(raise_here(), 0);
                      const stack_t none{nullptr, SS_DISABLE, 0};
                      EXPECT_EQ(sigaltstack(&none, nullptr), 0);
                      EXPECT_EQ(raise_here(), 0);
                      return nullptr;
                  },
                  nullptr),
              0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
    EXPECT_NE(seen_ip.load(), 0u);
}

}  // namespace
