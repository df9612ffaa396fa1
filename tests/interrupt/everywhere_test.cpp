// SPDX-License-Identifier: MIT
//
// Property: an NMI at any instruction whatsoever - of a registration, of a grace period, of another
// NMI's dispatch, of malloc, of the dynamic loader - is taken once, counted once and handled by
// exactly those who are registered there; and the code it interrupts ends as if it had not been.
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <ucontext.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nmircu/nmi.hpp>

#include "../support/in_child.hpp"
#include "platform/linux/signal_tag.hpp"
#include "single_step.hpp"

namespace {

using nmircu::nmi_error;
using nmircu::nmi_flags;
using nmircu::nmi_handler;
using nmircu::nmi_handler_statistics;
using nmircu::nmi_token;
using nmircu::nmi_type;
using nmircu::pt_regs;
using nmircu_test::single_step;
using nmircu_test::stepped;

// Documented in nmi.hpp for optimized builds; others get four times that.
#if defined(__OPTIMIZE__)
constexpr std::size_t allowance = 1;
#else
constexpr std::size_t allowance = 4;
#endif
constexpr std::size_t most_stack_handled = allowance * 1024, most_stack_reported = allowance * 8192;

std::atomic<std::uint64_t> witnessed{0};  // NMIs that reached the dispatcher
int witness(pt_regs*, int) {
    witnessed.fetch_add(1, std::memory_order_relaxed);
    return 0;
}

struct counted {
    std::atomic<std::uint64_t> calls{0};
};
int claims(void* cookie, pt_regs*, int) {
    static_cast<counted*>(cookie)->calls.fetch_add(1, std::memory_order_relaxed);
    return 1;
}
int declines(void* cookie, pt_regs*, int) {
    static_cast<counted*>(cookie)->calls.fetch_add(1, std::memory_order_relaxed);
    return 0;
}

std::uint64_t taken() {
    std::uint64_t sum = 0;
    for (int cpu = 0; cpu < int(nmircu::detail::max_cpus); ++cpu)
        sum += nmircu::nmi_count(cpu);
    return sum;
}

// NMIs that nobody claimed.
std::uint64_t nobodys() {
    return nmircu::nmi_unknown_count() + nmircu::nmi_swallowed_count();
}

struct everywhere : testing::Test {
    void SetUp() override {
        ASSERT_EQ(nmircu::nmi_attach(), 0);
        nmircu::nmi_set_unknown_policy(nmircu::nmi_unknown_policy::ignore);
        nmircu::nmi_set_longest_allowed(0);  // stepping takes its time
        nmircu::set_nmi_callback(witness);
        nmircu::rcu_barrier();  // the reclaimer's thread is there
        taken_before = taken();
        nobodys_before = nobodys();
        witnessed.store(0);
    }
    // After all stepping: nothing lost, nothing counted twice, nothing left open.
    void expect_all_counted(std::uint64_t raised, std::uint64_t claimed) {
        EXPECT_GT(raised, 0u);
        EXPECT_EQ(witnessed.load(), raised);
        EXPECT_EQ(taken() - taken_before, raised);
        EXPECT_EQ(nobodys() - nobodys_before + claimed, raised);
    }
    void TearDown() override {
        EXPECT_FALSE(nmircu::rcu_read_held());
        EXPECT_FALSE(nmircu::in_nmi());
        nmircu::rcu_synchronize();
        nmircu::rcu_barrier();
        EXPECT_EQ(nmircu::nmi_handlers(nullptr, 0, nullptr, 0), 0u);
        nmircu::unset_nmi_callback();
    }
    std::uint64_t taken_before = 0, nobodys_before = 0;
};

TEST_F(everywhere, in_add_swap_and_remove) {
    counted first, second;
    nmi_handler handler;
    nmi_error added{}, swapped{}, removed{};
    nmi_handler_statistics last{};
    const stepped steps = single_step::run(
        [&] {
            added = handler.add(nmi_type::local, "stepped", claims, &first);
            swapped = handler.swap(claims, &second);
            removed = handler.remove(&last);
        },
        single_step::raise);
    EXPECT_EQ(added, nmi_error::none);
    EXPECT_EQ(swapped, nmi_error::none);
    EXPECT_EQ(removed, nmi_error::none);
    EXPECT_GT(first.calls.load(), 0u);
    EXPECT_GT(second.calls.load(), 0u);
    const std::uint64_t claimed = first.calls.load() + second.calls.load();
    EXPECT_EQ(last.calls, claimed);
    EXPECT_EQ(last.handled, claimed);
    expect_all_counted(steps.raised, claimed);
}

TEST_F(everywhere, in_updates_of_a_chain_with_others_in_it) {
    counted constant, passing, token_calls, name_calls;
    nmi_handler always, never;
    ASSERT_EQ(always.add(nmi_type::local, "always", claims, &constant), nmi_error::none);
    ASSERT_EQ(never.add(nmi_type::local, "never", declines, &passing), nmi_error::none);
    nmi_error results[4];
    nmi_token token{};
    const stepped steps = single_step::run(
        [&] {
            results[0] = nmircu::register_nmi_handler(nmi_type::local, claims, &token_calls,
                                                      nmi_flags::first, "by token", &token);
            results[1] = nmircu::register_nmi_handler(nmi_type::local, claims, &name_calls,
                                                      nmi_flags::none, "by name");
            results[2] = nmircu::unregister_nmi_handler(token);
            results[3] = nmircu::unregister_nmi_handler("by name");
        },
        single_step::raise);
    for (const nmi_error result : results)
        EXPECT_EQ(result, nmi_error::none);
    EXPECT_GT(token_calls.calls.load(), 0u);
    EXPECT_GT(name_calls.calls.load(), 0u);
    // Never none of them, never one of them twice.
    EXPECT_EQ(constant.calls.load(), steps.raised);
    EXPECT_EQ(passing.calls.load(), steps.raised);
    nmi_handler_statistics last;
    ASSERT_EQ(always.remove(&last), nmi_error::none);
    EXPECT_EQ(last.calls, steps.raised);
    EXPECT_EQ(last.handled, steps.raised);
    ASSERT_EQ(never.remove(&last), nmi_error::none);
    EXPECT_EQ(last.calls, steps.raised);
    EXPECT_EQ(last.handled, 0u);
    expect_all_counted(steps.raised, steps.raised);
}

TEST_F(everywhere, in_an_unregistration_that_does_not_wait) {
    counted calls;
    nmi_token token{};
    std::atomic<std::uint64_t> at_done{0};
    struct done_argument {
        counted& calls;
        std::atomic<std::uint64_t>& at_done;
    } argument{calls, at_done};
    ASSERT_EQ(nmircu::register_nmi_handler(nmi_type::local, claims, &calls, nmi_flags::none,
                                           "later", &token),
              nmi_error::none);
    nmi_error result{};
    std::uint64_t at_return = 0;
    const stepped steps = single_step::run(
        [&] {
            result = nmircu::unregister_nmi_handler_later(
                token,
                [](void* given) {
                    auto& there = *static_cast<done_argument*>(given);
                    there.at_done.store(there.calls.calls.load() + 1);
                },
                &argument);
            at_return = calls.calls.load();
            nmircu::rcu_barrier();
        },
        single_step::raise);
    EXPECT_EQ(result, nmi_error::none);
    EXPECT_GT(at_return, 0u);
    EXPECT_EQ(calls.calls.load(), at_return);
    EXPECT_EQ(at_done.load(), at_return + 1);
    expect_all_counted(steps.raised, at_return);
}

// A section on another thread that ends when so many NMIs have been taken here.
class reader_until {
  public:
    explicit reader_until(std::uint64_t nmis) : reader_([this, nmis] { read(nmis); }) {
        while (!inside_.load(std::memory_order_acquire)) {
        }
    }
    ~reader_until() { reader_.join(); }
    reader_until(const reader_until&) = delete;
    reader_until& operator=(const reader_until&) = delete;

  private:
    void read(std::uint64_t nmis) {
        nmircu::rcu_default_domain().lock();
        inside_.store(true, std::memory_order_release);
        while (witnessed.load(std::memory_order_relaxed) < nmis)
            std::this_thread::yield();
        nmircu::rcu_default_domain().unlock();
    }
    std::atomic<bool> inside_{false};
    std::thread reader_;
};

TEST_F(everywhere, in_an_unregistration_that_runs_out_of_time) {
    counted calls;
    nmi_token token{};
    ASSERT_EQ(nmircu::register_nmi_handler(nmi_type::local, claims, &calls, nmi_flags::none, "kept",
                                           &token),
              nmi_error::none);
    nmircu::rcu_synchronize();
    stepped steps;
    nmi_error result{};
    {
        std::atomic<bool> release{false}, inside{false};
        std::thread reader([&] {
            nmircu::rcu_default_domain().lock();
            inside.store(true);
            while (!release.load())
                std::this_thread::yield();
            nmircu::rcu_default_domain().unlock();
        });
        while (!inside.load()) {
        }
        steps = single_step::run(
            [&] { result = nmircu::unregister_nmi_handler_within(token, 1'000'000); },
            single_step::raise);
        release.store(true);
        reader.join();
    }
    EXPECT_EQ(result, nmi_error::still_running);
    EXPECT_EQ(nmircu::find_nmi_handler("kept"), token);
    expect_all_counted(steps.raised, calls.calls.load());
    const std::uint64_t so_far = calls.calls.load();
    ASSERT_EQ(nmircu::nmi_raise_self(), 0);
    EXPECT_EQ(calls.calls.load(), so_far + 1);
    nmi_handler_statistics now;
    ASSERT_EQ(nmircu::nmi_handlers(&now, 1, nullptr, 0), 1u);
    EXPECT_EQ(now.calls, so_far + 1);
    EXPECT_EQ(now.handled, so_far + 1);
    EXPECT_EQ(nmircu::unregister_nmi_handler(token), nmi_error::none);
}

// One that leaves while another thread's, or this thread's, update is anywhere between its first
// and its last instruction.
struct leaver {
    nmi_token token{};
    std::uint64_t leaves_at = 0;
    std::uint64_t calls_after = 0;
    bool left = false;
    nmi_error result{};
};
leaver leaving;
int leaves(void*, pt_regs*, int) {
    if (leaving.left) ++leaving.calls_after;
    return 0;
}
void leave_and_raise(std::uint64_t step) {
    if (step == leaving.leaves_at) {
        leaving.result = nmircu::unregister_nmi_handler_later(leaving.token, nullptr, nullptr);
        leaving.left = true;
    }
    if (step >= leaving.leaves_at) single_step::raise(step);
}

// How many instructions the update took.
std::uint64_t update_while_one_leaves_at(std::uint64_t step) {
    counted calls;
    leaving = {};
    leaving.leaves_at = step;
    EXPECT_EQ(nmircu::register_nmi_handler(nmi_type::local, leaves, nullptr, nmi_flags::none,
                                           "leaver", &leaving.token),
              nmi_error::none);
    nmircu::rcu_synchronize();
    nmi_handler other;
    nmi_error added{};
    const stepped steps = single_step::run(
        [&] { added = other.add(nmi_type::local, "other", claims, &calls); }, leave_and_raise);
    EXPECT_EQ(added, nmi_error::none);
    if (leaving.left) {
        EXPECT_EQ(leaving.result, nmi_error::none);
        EXPECT_EQ(leaving.calls_after, 0u) << "left at instruction " << step;
        nmircu::rcu_barrier();
        EXPECT_EQ(nmircu::find_nmi_handler("leaver"), nmi_token{});
    } else {
        EXPECT_EQ(nmircu::unregister_nmi_handler(leaving.token), nmi_error::none);
    }
    return steps.steps;
}

TEST_F(everywhere, a_handler_leaves_at_any_instruction_of_an_update_and_is_not_called_again) {
    constexpr std::uint64_t never = ~std::uint64_t{0}, points = 60;
    const std::uint64_t all = update_while_one_leaves_at(never);
    for (std::uint64_t point = 0; point < points && !HasFailure(); ++point) {
        update_while_one_leaves_at(1 + point * all / points);
        EXPECT_TRUE(leaving.left);
    }
}

TEST_F(everywhere, in_a_grace_period) {
    const stepped steps = single_step::run([] { nmircu::rcu_synchronize(); }, single_step::raise);
    expect_all_counted(steps.raised, 0);
}

TEST_F(everywhere, in_a_grace_period_that_waits_for_a_reader) {
    reader_until reader(3000);
    const stepped steps = single_step::run([] { nmircu::rcu_synchronize(); }, single_step::raise);
    EXPECT_GE(steps.raised, 3000u);
    expect_all_counted(steps.raised, 0);
}

TEST_F(everywhere, in_sections) {
    bool held_inside = false;
    const stepped steps = single_step::run(
        [&] {
            for (int i = 0; i < 20; ++i) {
                nmircu::rcu_default_domain().lock();
                nmircu::rcu_default_domain().lock();
                nmircu::rcu_default_domain().unlock();
                held_inside = nmircu::rcu_read_held();
                nmircu::rcu_default_domain().unlock();
            }
        },
        single_step::raise);
    EXPECT_TRUE(held_inside);
    EXPECT_GE(steps.restarted, 40u);
    expect_all_counted(steps.raised, 0);
}

std::atomic<int> deleted{0};
struct object : nmircu::rcu_obj_base<object> {
    ~object() { deleted.fetch_add(1); }
};

TEST_F(everywhere, in_retire_and_barrier) {
    constexpr int objects = 20;
    object* made[objects];
    for (object*& each : made)
        each = new object;
    int at_return = 0;
    const stepped steps = single_step::run(
        [&] {
            for (object* each : made)
                each->retire();
            nmircu::rcu_barrier();
            at_return = deleted.load();
        },
        single_step::raise);
    EXPECT_EQ(at_return, objects);
    expect_all_counted(steps.raised, 0);
}

// The trampoline, called as the kernel calls it: so that it can be stepped like any other code.
TEST_F(everywhere, in_another_nmi) {
    counted calls;
    nmi_handler first, second;
    ASSERT_EQ(first.add(nmi_type::local, "first", claims, &calls), nmi_error::none);
    ASSERT_EQ(second.add(nmi_type::local, "second", claims, &calls), nmi_error::none);
    struct sigaction vector;
    ASSERT_EQ(sigaction(nmircu::platform::nmi_signal, nullptr, &vector), 0);
    ucontext_t context;
    ASSERT_EQ(getcontext(&context), 0);
    siginfo_t info = {};
    info.si_signo = nmircu::platform::nmi_signal;
    info.si_code = SI_QUEUE;
    info.si_value.sival_ptr = reinterpret_cast<void*>(nmircu::platform::signal_tag(0));
    constexpr std::uint64_t dispatches = 40;  // some are timed
    const stepped steps = single_step::run(
        [&] {
            for (std::uint64_t i = 0; i < dispatches; ++i)
                vector.sa_sigaction(nmircu::platform::nmi_signal, &info, &context);
        },
        single_step::raise);
    EXPECT_GT(steps.restarted, dispatches);
    EXPECT_EQ(calls.calls.load(), 2 * (steps.raised + dispatches));
    expect_all_counted(steps.raised + dispatches, steps.raised + dispatches);
}

// Raises at one instruction in 1..`most`, as a fixed sequence has it.
std::uint64_t next_raise = 0, most_apart = 1, random_state = 1;
void raise_now_and_then(std::uint64_t step) {
    if (step < next_raise) return;
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    next_raise = step + 1 + (random_state >> 33) % most_apart;
    single_step::raise(step);
}
void raise_one_in(std::uint64_t most) {
    next_raise = 0;
    most_apart = most;
}

TEST_F(everywhere, in_malloc_and_free) {
    bool made_all = true;
    raise_one_in(3);
    const stepped steps = single_step::run(
        [&] {
            for (std::size_t bytes = 8; bytes < 4'000'000; bytes *= 3) {
                void* const made = std::malloc(bytes);
                void* const grown = std::realloc(made, bytes * 2);
                made_all = made_all && grown != nullptr;
                std::free(grown);
            }
        },
        raise_now_and_then);
    EXPECT_TRUE(made_all);
    expect_all_counted(steps.raised, 0);
}

TEST_F(everywhere, in_dlopen_and_dlclose) {
    raise_one_in(40);
    void* object = nullptr;
    void* function = nullptr;
    int closed = -1;
    const stepped steps = single_step::run(
        [&] {
            object = dlopen(HANDLER_A, RTLD_NOW | RTLD_LOCAL);
            function = dlsym(object, "storm_handler");
            closed = dlclose(object);
        },
        raise_now_and_then);
    EXPECT_NE(object, nullptr);
    EXPECT_NE(function, nullptr);
    EXPECT_EQ(closed, 0);
    expect_all_counted(steps.raised, 0);
}

// A child has what is published, and can end it, wherever the update was.
int bad_children = 0;
void fork_now_and_then(std::uint64_t step) {
    if (step % 7 != 0) return;
    const int status = nmircu_test::in_child([] {
        const nmi_error error = nmircu::unregister_nmi_handler("other");
        return error == nmi_error::none || error == nmi_error::not_added ? 0 : 1;
    });
    if (status != 0) ++bad_children;
}

TEST_F(everywhere, fork_in_an_update_leaves_no_handler_that_cannot_be_removed) {
    counted calls;
    nmi_handler other;
    nmi_error added{};
    bad_children = 0;
    single_step::run([&] { added = other.add(nmi_type::local, "other", claims, &calls); },
                     fork_now_and_then);
    EXPECT_EQ(added, nmi_error::none);
    EXPECT_EQ(bad_children, 0);
}

// The same from outside: the thread stands still in the middle of its update while another forks.
enum class updating { goes_on, stands_still, is_over };
std::atomic<updating> update{updating::goes_on};
void set(updating next) {
    update.store(next);
    update.notify_all();
}
void stand_still_now_and_then(std::uint64_t step) {
    if (step % 7 != 0) return;
    set(updating::stands_still);
    update.wait(updating::stands_still);
}

// In a child: the handler is registered or not, and its name can be used again.
int other_is_whole() {
    static counted calls;
    const nmi_error removed = nmircu::unregister_nmi_handler("other");
    if (removed != nmi_error::none && removed != nmi_error::not_added) return 1;
    nmi_handler again;
    if (again.add(nmi_type::local, "other", claims, &calls) != nmi_error::none) return 2;
    if (nmircu::nmi_raise_self() != 0 || calls.calls.load() != 1) return 3;
    return again.remove() == nmi_error::none ? 0 : 4;
}

void fork_while_it_stands_still(nmi_error (*end)(nmi_token)) {
    counted calls;
    nmi_token token{};
    ASSERT_EQ(nmircu::register_nmi_handler(nmi_type::local, claims, &calls, nmi_flags::none,
                                           "other", &token),
              nmi_error::none);
    nmi_error ended{};
    update.store(updating::goes_on);
    std::thread updater([&] {
        single_step::run([&] { ended = end(token); }, stand_still_now_and_then);
        set(updating::is_over);
    });
    int forks = 0;
    int bad = 0;
    for (;;) {
        update.wait(updating::goes_on);
        if (update.load() == updating::is_over) break;
        ++forks;
        if (nmircu_test::in_child(other_is_whole) != 0) ++bad;
        set(updating::goes_on);
    }
    updater.join();
    EXPECT_EQ(ended, nmi_error::none);
    EXPECT_GT(forks, 10);
    EXPECT_EQ(bad, 0) << "of " << forks;
    nmircu::rcu_barrier();
}

TEST_F(everywhere, fork_beside_a_removal_leaves_a_name_that_can_be_used) {
    fork_while_it_stands_still(
        [](nmi_token token) { return nmircu::unregister_nmi_handler(token); });
}

TEST_F(everywhere, fork_beside_a_removal_that_does_not_wait) {
    fork_while_it_stands_still([](nmi_token token) {
        return nmircu::unregister_nmi_handler_later(token, nullptr, nullptr);
    });
}

// fork itself blocks all signals; what it calls on either side of it does not.
std::uint64_t raised_around_fork = 0;
void raise_around_fork() {
    if (nmircu::nmi_raise_self() == 0) ++raised_around_fork;
}

TEST_F(everywhere, around_fork_in_parent_and_child) {
    // Around the library's own: before them at fork, after them in the child, and the other way
    // round.
    pthread_atfork(raise_around_fork, raise_around_fork, raise_around_fork);
    counted calls;
    nmi_handler handler;
    ASSERT_EQ(handler.add(nmi_type::local, "forked", claims, &calls), nmi_error::none);
    raised_around_fork = 0;
    const auto all_seen = [&] {
        return calls.calls.load() == raised_around_fork && witnessed.load() == raised_around_fork &&
               taken() - taken_before == raised_around_fork && !nmircu::rcu_read_held();
    };
    raise_around_fork();
    const int status = nmircu_test::in_child([&] {
        raise_around_fork();
        nmircu::rcu_synchronize();
        nmi_handler_statistics last;
        const bool removed = handler.remove(&last) == nmi_error::none;
        return removed && raised_around_fork == 4 && last.calls == 4 && all_seen() ? 0 : 1;
    });
    raise_around_fork();
    EXPECT_EQ(status, 0);
    EXPECT_EQ(raised_around_fork, 4u);
    EXPECT_TRUE(all_seen());
}

// A thread's first NMI is its first act, and there are some in its last, when its thread-local
// objects are gone.
std::uint64_t raised_at_end = 0;
pthread_key_t last_key;
int rounds_left = 0;
void raise_and_come_again(void* value) {
    if (nmircu::nmi_raise_self() == 0) ++raised_at_end;
    if (--rounds_left > 0) pthread_setspecific(last_key, value);
}
void* raise_first_and_last(void*) {
    if (nmircu::nmi_raise_self() == 0) ++raised_at_end;
    pthread_setspecific(last_key, &last_key);
    return nullptr;
}

TEST_F(everywhere, in_a_threads_first_and_last_acts) {
    ASSERT_EQ(pthread_key_create(&last_key, raise_and_come_again), 0);
    constexpr int threads = 50;
    raised_at_end = 0;
    for (int i = 0; i < threads; ++i) {
        rounds_left = PTHREAD_DESTRUCTOR_ITERATIONS;
        pthread_t thread;
        ASSERT_EQ(pthread_create(&thread, nullptr, raise_first_and_last, nullptr), 0);
        ASSERT_EQ(pthread_join(thread, nullptr), 0);
    }
    pthread_key_delete(last_key);
    EXPECT_EQ(raised_at_end, std::uint64_t(threads * (1 + PTHREAD_DESTRUCTOR_ITERATIONS)));
    expect_all_counted(raised_at_end, 0);
}

// As its creator knows it before it has run: from the thread's own CPU clock.
pid_t number_of(pthread_t thread) {
    clockid_t clock = 0;
    return pthread_getcpuclockid(thread, &clock) == 0 ? pid_t(~(clock >> 3)) : 0;
}

// From before a thread has run until after it has: those that are sent before are taken on its way
// to its first instruction.
TEST_F(everywhere, on_a_thread_that_has_not_run_yet) {
    std::atomic<pid_t> target{0};
    std::atomic<bool> stop{false};
    std::thread pursuer([&] {
        while (!stop.load()) {
            if (const pid_t tid = target.load(); tid != 0)
                static_cast<void>(nmircu::nmi_raise(tid));
        }
    });
    constexpr int threads = 300;
    for (int i = 0; i < threads; ++i) {
        std::thread thread([&] { target.store(0); });
        target.store(number_of(thread.native_handle()));
        thread.join();
        target.store(0);
    }
    stop.store(true);
    pursuer.join();
    EXPECT_EQ(witnessed.load(), taken() - taken_before);
}

// How far down an alternate stack has been written.
class painted_stack {
  public:
    static constexpr std::size_t bytes = 64 * 1024;
    painted_stack() : memory_(bytes, paint) {
        stack_t ours = {};
        ours.ss_sp = memory_.data();
        ours.ss_size = bytes;
        sigaltstack(&ours, &before_);
    }
    ~painted_stack() { sigaltstack(&before_, nullptr); }
    painted_stack(const painted_stack&) = delete;
    painted_stack& operator=(const painted_stack&) = delete;
    std::size_t used() {
        std::size_t untouched = 0;
        while (untouched < bytes && memory_[untouched] == paint)
            ++untouched;
        memory_.assign(bytes, paint);
        return bytes - untouched;
    }

  private:
    static constexpr unsigned char paint = 0xa5;
    std::vector<unsigned char> memory_;
    stack_t before_;
};

void nothing(int) {}

// What nmi.hpp promises.
TEST_F(everywhere, the_dispatch_needs_little_stack) {
    struct sigaction raw = {}, before;
    raw.sa_handler = nothing;
    raw.sa_flags = SA_ONSTACK;
    ASSERT_EQ(sigaction(SIGUSR2, &raw, &before), 0);
    nmircu::nmi_set_timing_interval(1);
    nmircu::nmi_set_unknown_policy(nmircu::nmi_unknown_policy::report);
    painted_stack stack;
    std::raise(SIGUSR2);
    const std::size_t frame = stack.used();
    counted calls;
    std::size_t first = 0, handled = 0, unknown = 0;
    {
        nmi_handler handler;
        ASSERT_EQ(handler.add(nmi_type::local, "small", claims, &calls), nmi_error::none);
        ASSERT_EQ(nmircu::nmi_raise_self(), 0);
        first = stack.used();  // the dynamic linker may have been looking for what it calls
        ASSERT_EQ(nmircu::nmi_raise_self(), 0);
        handled = stack.used();
    }
    testing::internal::CaptureStderr();
    ASSERT_EQ(nmircu::nmi_raise_self(), 0);
    ASSERT_EQ(nmircu::nmi_raise_self(), 0);
    EXPECT_NE(testing::internal::GetCapturedStderr(), "");
    unknown = stack.used();
    nmircu::nmi_set_timing_interval(16);
    sigaction(SIGUSR2, &before, nullptr);
    std::printf("the kernel's frame: %zu bytes; a handled NMI: %zu; one that is reported: %zu\n",
                frame, handled, unknown);
    ASSERT_GT(frame, 0u);
    EXPECT_EQ(calls.calls.load(), 2u);
    EXPECT_LE(first - frame, most_stack_reported);
    EXPECT_LE(handled - frame, most_stack_handled);
    EXPECT_LE(unknown - frame, most_stack_reported);
}

TEST_F(everywhere, on_a_thread_with_the_smallest_stack) {
    counted calls;
    nmi_handler handler;
    ASSERT_EQ(handler.add(nmi_type::local, "small", claims, &calls), nmi_error::none);
    pthread_attr_t small;
    ASSERT_EQ(pthread_attr_init(&small), 0);
    ASSERT_EQ(pthread_attr_setstacksize(&small, 16 * 1024), 0);
    pthread_t thread;
    ASSERT_EQ(pthread_create(
                  &thread, &small,
                  [](void*) -> void* {
                      for (int i = 0; i < 100; ++i)
                          static_cast<void>(nmircu::nmi_raise_self());
                      return nullptr;
                  },
                  nullptr),
              0);
    ASSERT_EQ(pthread_join(thread, nullptr), 0);
    pthread_attr_destroy(&small);
    EXPECT_EQ(calls.calls.load(), 100u);
    expect_all_counted(100, 100);
}

}  // namespace
