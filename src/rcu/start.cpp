// SPDX-License-Identifier: MIT
//
// The engine's beginning in a process, and its second beginning in a forked child.
#include "rcu/checked_order.hpp"
#include "rcu/reclaimer.hpp"
#include "rcu/retire_calls.hpp"
#include "rcu/stall.hpp"

namespace nmircu::detail {

namespace {

// Everything here is accessed atomically; race checkers that know atomics know that.
void leave_engine_unchecked() noexcept {
    if (!platform::is_watched_blindly()) return;
    platform::leave_unchecked(rcu::engine);
    platform::leave_unchecked(default_domain);
    platform::leave_unchecked(rcu::noted_calls);
    rcu::leave_lists_unchecked();
    rcu::leave_reclaimer_unchecked();
    default_domain.watched.store(1, std::memory_order_relaxed);  // a setting
}

}  // namespace

void start_engine(barrier_choice choice) noexcept {
    rcu::engine_state& engine = rcu::engine;
    // The lock: no grace period is in flight while the readers' mode changes.
    platform::lock_guard guard(engine.updaters);
    if (engine.started.load(std::memory_order_relaxed)) return;  // written with the lock held
    if (reinterpret_cast<std::uintptr_t>(&default_domain.cpu) >> nesting_shift != 0) {
        platform::port::panic(
            "nmircu: the domain lies above the addresses that a nesting word can hold");
    }
    leave_engine_unchecked();
    // Relaxed: only updaters read it, with the lock held.
    engine.cpus.store(platform::port::possible_cpus(), std::memory_order_relaxed);
    if (choice == barrier_choice::best && platform::port::prepare_barrier_everyone()) {
        // [GP-6] release: the process is registered before any reader relies on the barrier, and
        // the grace periods before this one are over. Partner: [RD-5], src/rcu/reader.cpp.
        // Weakened: a reader without a fence meets an updater without the barrier.
        engine.asymmetric.store(true, std::memory_order_release);
    }
    engine.started.store(true, std::memory_order_relaxed);  // written with the lock held
}

void engine_before_fork() noexcept {
    rcu::hold_for_fork();
}

void engine_after_fork() noexcept {
    rcu::release_after_fork();
}

// The child has one thread and a copy of everybody's counts. Only this thread's own section is
// still open; every other reader is gone. All signals are blocked: the stores below do not race.
void engine_forked() noexcept {
    domain_state& domain = default_domain;
    rcu::engine_state& engine = rcu::engine;
    reader_state& self = platform::this_reader();

    // Relaxed throughout: there is one thread.
    const auto clear = [](reader_slot& slot) {
        for (unsigned phase = 0; phase < 2; ++phase) {
            slot.enter[phase].store(0, std::memory_order_relaxed);
            slot.exit[phase].store(0, std::memory_order_relaxed);
        }
    };
    clear(domain.shared);
    const std::uint32_t cpus = engine.cpus.load(std::memory_order_relaxed);
    for (unsigned cpu = 0; cpu < cpus; ++cpu)
        clear(domain.cpu[cpu]);

    const std::uint64_t section = section_of(self);
    if (section >= one_section) {
        domain.shared.enter[phase_of(section)].store(1, std::memory_order_relaxed);
    }
    domain.waiting.store(0, std::memory_order_relaxed);
    rcu::forget_stall_setting();
    rcu::adopt_backlog_in_child();
    rcu::forget_reclaimer_in_child();

    // A fork in a handler that interrupted the updater itself: its grace period goes on.
    if (self.is_updater != 0) return;
    engine.updaters.reset();
    const std::uint64_t sequence = engine.sequence.load(std::memory_order_relaxed);
    // A grace period that was running has not ended: this thread's section may be older than it.
    engine.sequence.store(sequence & ~1ull, std::memory_order_relaxed);
}

}  // namespace nmircu::detail
