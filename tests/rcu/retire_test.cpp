// SPDX-License-Identifier: MIT
//
// Property: what is retired is deleted exactly once, after the sections that could see it and
// before rcu_barrier returns; whoever retires it, wherever, and whatever its deleter does.
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nmircu/nmi.hpp>
#include <nmircu/rcu.hpp>

namespace {

using nmircu::rcu_barrier;
using nmircu::rcu_default_domain;

// Counts its deletions, and poisons itself before it goes.
struct object : nmircu::rcu_obj_base<object> {
    explicit object(std::atomic<int>& count) : deleted(count) {}
    ~object() {
        alive.store(0xdead, std::memory_order_relaxed);
        deleted.fetch_add(1, std::memory_order_relaxed);
    }
    std::atomic<int>& deleted;
    std::atomic<int> alive{1};
};

TEST(retire, deletes_once) {
    std::atomic<int> deleted{0};
    for (int i = 0; i < 1000; ++i)
        (new object(deleted))->retire();
    rcu_barrier();
    EXPECT_EQ(deleted.load(), 1000);
}

TEST(retire, happens_without_any_further_call) {
    std::atomic<int> deleted{0};
    (new object(deleted))->retire();
    while (deleted.load(std::memory_order_acquire) == 0)
        std::this_thread::yield();
}

TEST(retire, waits_for_the_section_that_retires) {
    std::atomic<int> deleted{0};
    auto* const old = new object(deleted);
    {
        std::scoped_lock section(rcu_default_domain());
        old->retire();
        // Another thread's grace period cannot pass either; give a broken reclaimer time.
        for (int i = 0; i < 1000; ++i) {
            ASSERT_EQ(old->alive.load(std::memory_order_relaxed), 1);
            std::this_thread::yield();
        }
        EXPECT_EQ(deleted.load(), 0);
    }
    rcu_barrier();
    EXPECT_EQ(deleted.load(), 1);
}

TEST(retire, readers_never_see_a_dead_object) {
    std::atomic<int> deleted{0}, dead_reads{0};
    std::atomic<object*> current{new object(deleted)};
    std::atomic<bool> stop{false};
    std::vector<std::thread> readers;
    for (int i = 0; i < 2; ++i) {
        readers.emplace_back([&] {
            while (!stop.load(std::memory_order_relaxed)) {
                std::scoped_lock section(rcu_default_domain());
                const object* const seen = nmircu::rcu_dereference(current);
                if (seen->alive.load(std::memory_order_relaxed) != 1) dead_reads.fetch_add(1);
            }
        });
    }
    std::vector<std::thread> updaters;
    for (int i = 0; i < 2; ++i) {
        updaters.emplace_back([&] {
            for (int round = 0; round < 20000; ++round)
                current.exchange(new object(deleted), std::memory_order_acq_rel)->retire();
        });
    }
    for (auto& updater : updaters)
        updater.join();
    stop.store(true, std::memory_order_relaxed);
    for (auto& reader : readers)
        reader.join();
    current.load()->retire();
    rcu_barrier();
    EXPECT_EQ(dead_reads.load(), 0);
    EXPECT_EQ(deleted.load(), 40001);
}

TEST(retire, barrier_waits_for_what_other_threads_retired) {
    for (int round = 0; round < 20; ++round) {
        std::atomic<int> deleted{0};
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&] {
                for (int k = 0; k < 50; ++k)
                    (new object(deleted))->retire();
            });
        }
        for (auto& thread : threads)
            thread.join();
        rcu_barrier();
        EXPECT_EQ(deleted.load(), 200);
    }
}

TEST(retire, several_barriers_at_once) {
    std::atomic<int> deleted{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int k = 0; k < 200; ++k) {
                std::atomic<int> own{0};
                (new object(own))->retire();
                rcu_barrier();
                if (own.load() == 1) deleted.fetch_add(1);
            }
        });
    }
    for (auto& thread : threads)
        thread.join();
    EXPECT_EQ(deleted.load(), 800);
}

// A stateful deleter that outlives the object which carried it.
struct noting_delete {
    std::atomic<int>* count = nullptr;
    void operator()(auto* pointer) const {
        delete pointer;
        count->fetch_add(1);
    }
};
struct noted : nmircu::rcu_obj_base<noted, noting_delete> {};

TEST(retire, a_deleter_with_state) {
    std::atomic<int> count{0};
    (new noted)->retire(noting_delete{&count});
    nmircu::rcu_retire(new long, noting_delete{&count});
    rcu_barrier();
    EXPECT_EQ(count.load(), 2);
}

TEST(retire, rcu_retire_takes_any_type) {
    std::atomic<int> count{0};
    int local = 0;
    nmircu::rcu_retire(&local, [&](int* pointer) {
        EXPECT_EQ(pointer, &local);
        count.fetch_add(1);
    });
    nmircu::rcu_retire(new std::vector<int>(100));
    rcu_barrier();
    EXPECT_EQ(count.load(), 1);
}

TEST(retire, rcu_retire_throws_and_retires_nothing) {
    struct refuses {
        refuses() = default;
        refuses(refuses&&) { throw 7; }
        void operator()(int*) const { ADD_FAILURE(); }
    };
    int local = 0;
    const auto before = nmircu::rcu_read_statistics().retired;
    EXPECT_THROW(nmircu::rcu_retire(&local, refuses{}), int);
    EXPECT_EQ(nmircu::rcu_read_statistics().retired, before);
}

struct plain {
    nmircu::rcu_head head;
    std::atomic<int>* called;
};

TEST(retire, rcu_call_runs_a_plain_function) {
    std::atomic<int> called{0};
    plain memory{{}, &called};
    nmircu::rcu_call(memory.head, [](nmircu::rcu_head* head) {
        reinterpret_cast<plain*>(head)->called->fetch_add(1);
    });
    rcu_barrier();
    EXPECT_EQ(called.load(), 1);
}

TEST(retire, a_copy_of_a_retired_object_is_not_retired) {
    struct copied : nmircu::rcu_obj_base<copied> {};
    copied copy;
    {
        std::scoped_lock section(rcu_default_domain());
        auto* const first = new copied;
        first->retire();
        copy = *first;
    }
    auto* const second = new copied(copy);
    second->retire();
    rcu_barrier();
}

// Deleters that retire more: each object's deletion retires the next.
struct chained : nmircu::rcu_obj_base<chained> {
    chained(int left, std::atomic<int>& count) : rest(left), deleted(count) {}
    ~chained() {
        if (rest > 0) (new chained(rest - 1, deleted))->retire();
        deleted.fetch_add(1);
    }
    int rest;
    std::atomic<int>& deleted;
};

TEST(retire, a_deleter_may_retire) {
    std::atomic<int> deleted{0};
    for (int i = 0; i < 10; ++i)
        (new chained(100, deleted))->retire();
    // Each barrier covers at least one more link.
    for (int i = 0; i <= 100; ++i)
        rcu_barrier();
    EXPECT_EQ(deleted.load(), 1010);
}

void retire_again(int left, std::atomic<int>& count) {
    nmircu::rcu_retire(new int, [left, &count](int* pointer) {
        delete pointer;
        count.fetch_add(1);
        if (left > 0) retire_again(left - 1, count);
    });
}

TEST(retire, a_deleter_may_call_rcu_retire) {
    std::atomic<int> count{0};
    retire_again(50, count);
    for (int i = 0; i <= 50; ++i)
        rcu_barrier();
    EXPECT_EQ(count.load(), 51);
}

// The deleter takes a lock that is also held around retire: by many, beyond the backlog's limit.
std::mutex shared_lock;
struct locking : nmircu::rcu_obj_base<locking> {
    ~locking() { std::scoped_lock guard(shared_lock); }
};

TEST(retire, a_deleter_may_take_a_lock_held_around_retire) {
    nmircu::rcu_set_backlog_limit(64);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([] {
            for (int k = 0; k < 500; ++k) {
                std::scoped_lock guard(shared_lock);
                (new locking)->retire();
            }
        });
    }
    for (auto& thread : threads)
        thread.join();
    rcu_barrier();
    nmircu::rcu_set_backlog_limit(65'536);
    EXPECT_EQ(nmircu::rcu_read_statistics().backlog, 0u);
}

// A reader waits for a lock that is held around retire: as with per-object locks in the kernel.
TEST(retire, a_reader_may_wait_for_a_lock_held_around_retire) {
    nmircu::rcu_set_backlog_limit(1);
    std::atomic<bool> inside{false};
    std::atomic<int> deleted{0};
    std::unique_lock guard(shared_lock);
    std::thread reader([&] {
        std::scoped_lock section(rcu_default_domain());
        inside.store(true);
        std::scoped_lock waits(shared_lock);
    });
    while (!inside.load())
        std::this_thread::yield();
    for (int i = 0; i < 200; ++i)
        (new object(deleted))->retire();
    guard.unlock();
    reader.join();
    rcu_barrier();
    nmircu::rcu_set_backlog_limit(65'536);
    EXPECT_EQ(deleted.load(), 200);
}

TEST(retire, a_deleter_may_synchronize_and_read) {
    std::atomic<int> count{0};
    for (int i = 0; i < 20; ++i) {
        nmircu::rcu_retire(new int, [&count](int* pointer) {
            { std::scoped_lock section(rcu_default_domain()); }
            nmircu::rcu_synchronize();
            delete pointer;
            count.fetch_add(1);
        });
    }
    rcu_barrier();
    EXPECT_EQ(count.load(), 20);
}

// In handlers: our own dispatch, and a plain signal handler.
std::atomic<object*> replaced{nullptr};
std::atomic<object*> spare[4096];
std::atomic<int> spares_used{0};

void retire_in_handler() {
    const int next = spares_used.fetch_add(1, std::memory_order_relaxed);
    if (next >= 4096) return;
    replaced.exchange(spare[next].load(std::memory_order_relaxed), std::memory_order_acq_rel)
        ->retire();
}

int nmi_retires(void*, nmircu::pt_regs*, int) {
    retire_in_handler();
    return 1;
}

class retire_in_handlers : public ::testing::Test {
  protected:
    void SetUp() override {
        replaced.store(new object(deleted_));
        spares_used.store(0);
        for (auto& slot : spare)
            slot.store(new object(deleted_));
    }
    // Every object is in `replaced`, unused, or retired.
    void check_all_are_deleted_once() {
        const int used = std::min(spares_used.load(), 4096);
        EXPECT_GT(used, 0);
        replaced.load()->retire();
        rcu_barrier();
        EXPECT_EQ(deleted_.load(), used + 1);
        for (int i = used; i < 4096; ++i)
            delete spare[i].load();
    }
    std::atomic<int> deleted_{0};
};

TEST_F(retire_in_handlers, of_ours_while_the_thread_retires_too) {
    ASSERT_EQ(nmircu::nmi_attach(), 0);
    nmircu::nmi_handler handler;
    ASSERT_EQ(handler.add(nmircu::nmi_type::local, "retires", nmi_retires, nullptr),
              nmircu::nmi_error::none);
    std::atomic<bool> stop{false};
    std::atomic<int> own_deleted{0}, own{0}, victim_id{0};
    std::thread victim([&] {
        victim_id.store(gettid());
        while (!stop.load(std::memory_order_relaxed)) {
            (new object(own_deleted))->retire();
            own.fetch_add(1, std::memory_order_relaxed);
        }
    });
    while (victim_id.load() == 0)
        std::this_thread::yield();
    for (int i = 0; i < 3000; ++i) {
        nmircu::nmi_raise_self();
        nmircu::nmi_raise(victim_id.load());
    }
    stop.store(true);
    victim.join();
    EXPECT_EQ(handler.remove(), nmircu::nmi_error::none);
    check_all_are_deleted_once();
    EXPECT_EQ(own_deleted.load(), own.load());
}

TEST_F(retire_in_handlers, of_the_programs_own) {
    ASSERT_TRUE(nmircu::rcu_start_reclaimer());
    struct sigaction action = {}, before;
    action.sa_handler = [](int) {
        std::scoped_lock section(rcu_default_domain());
        const int saved = errno;
        errno = 77;
        retire_in_handler();
        EXPECT_EQ(errno, 77);
        errno = saved;
    };
    ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
    std::atomic<bool> stop{false};
    std::atomic<int> own_deleted{0}, own{0};
    std::thread victim([&] {
        while (!stop.load(std::memory_order_relaxed)) {
            (new object(own_deleted))->retire();
            own.fetch_add(1, std::memory_order_relaxed);
        }
    });
    for (int i = 0; i < 3000; ++i)
        pthread_kill(victim.native_handle(), SIGUSR1);
    stop.store(true);
    victim.join();
    sigaction(SIGUSR1, &before, nullptr);
    check_all_are_deleted_once();
    EXPECT_EQ(own_deleted.load(), own.load());
}

TEST(retire, counts_what_it_does) {
    rcu_barrier();
    const auto before = nmircu::rcu_read_statistics();
    std::atomic<int> deleted{0};
    std::unique_lock section(rcu_default_domain());
    for (int i = 0; i < 100; ++i)
        (new object(deleted))->retire();
    EXPECT_EQ(nmircu::rcu_read_statistics().backlog, 100u);
    section.unlock();
    rcu_barrier();
    const auto after = nmircu::rcu_read_statistics();
    EXPECT_EQ(after.retired, before.retired + 100);
    EXPECT_EQ(after.reclaimed, before.reclaimed + 100);
    EXPECT_EQ(after.backlog, 0u);
    EXPECT_GE(after.backlog_peak, 100u);
}

TEST(retire_misuse, barrier_inside_a_section_names_both_ends) {
    EXPECT_DEATH(
        {
            std::scoped_lock section(rcu_default_domain());
            rcu_barrier();
        },
        "nmircu: rcu_barrier called at 0x[0-9a-f]+ inside a read-side critical section entered at "
        "0x[0-9a-f]+");
}

TEST(retire_misuse, barrier_inside_a_deleter_names_both_ends) {
    EXPECT_DEATH(
        {
            nmircu::rcu_retire(new int, [](int*) { rcu_barrier(); });
            rcu_barrier();
        },
        "nmircu: rcu_barrier called at 0x[0-9a-f]+ inside the deleter 0x[0-9a-f]+; it would wait");
}

}  // namespace
