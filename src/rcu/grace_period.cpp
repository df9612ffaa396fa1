// SPDX-License-Identifier: MIT
//
// The grace period: registration-free, per-CPU, two phases, one process-wide barrier. The readers'
// half is include/nmircu/detail/reader.hpp. Thread context, outside any section; blocks.
//
//   variable            written by                     read by          protection
//   entry (the phase)   updater, engine.updaters held  readers          relaxed; a hint
//   cpu[i].enter/exit   readers on CPU i               scan             exit is a release
//   shared.enter/exit   readers without a CPU slot     scan             read-modify-write
//   waiting             updater; the reader who rings  readers, futex   see [GP-5]
//   sequence            updater, engine.updaters held  callers          [GP-1], [GP-8]
//   asymmetric          start, engine.updaters held    readers, updater [RD-5], [GP-6]
//
// Invariants.
//   I1  For each phase, the sum of `exit` never exceeds the sum of `enter`, as any scan sees them
//       that reads all exits before all enters: an exit is a release and its section's enter
//       precedes it.
//   I2  After barrier_for_readers_locked, a reader whose enter the scan cannot see yet will load
//       its pointers after the barrier, and finds the new ones.
//   I3  So a scan with equal sums, made after the barrier, proves that no section of that phase is
//       left that could hold an old pointer. Once seen, it stays proved for this grace period.
//   I4  The flip of `entry` is for progress only: it keeps new readers out of the sums waited for.
//
//   idle --synchronize--> barrier --both drained--> idle
//                            |
//                            +--> wait for !phase --> flip --> wait for the old phase --> idle
#include <algorithm>

#include "rcu/checked_order.hpp"
#include "rcu/reclaimer.hpp"
#include "rcu/stall.hpp"

namespace nmircu::rcu {

namespace {

using detail::domain_state;

// How often a scan is repeated before the updater sleeps: a few microseconds, longer than a typical
// handler, shorter than a futex round trip.
constexpr unsigned spins_before_sleep = 200;

// A grace period that has nobody to wait for is timed one time in so many, and counts for as many:
// reading the counter twice is a tenth of it. One that waits is always timed.
constexpr std::uint64_t idle_timing_interval = 16;

struct drained_phases {
    bool phase[2];
};

drained_phases scan(const domain_state& domain) noexcept {
    // Relaxed: constant once the engine has started, too large before.
    const std::uint32_t cpus = engine.cpus.load(std::memory_order_relaxed);
    std::uint64_t exits[2], enters[2];
    for (unsigned phase = 0; phase < 2; ++phase) {
        // [GP-4] acquire: the enter of every exit counted here is seen by the second loop, and the
        // section's accesses precede what the updater does next.
        // Partner: the release at [RD-4], src/rcu/reader.cpp. Weakened: I1 fails and an object is
        // freed under a reader.
        exits[phase] = domain.shared.exit[phase].load(std::memory_order_acquire);
    }
    for (unsigned cpu = 0; cpu < cpus; ++cpu) {
        for (unsigned phase = 0; phase < 2; ++phase) {
            // [GP-7] acquire: as above, for per-CPU slots. Partner: the release at [RD-2],
            // nmircu/detail/reader.hpp. Weakened: as above.
            exits[phase] += domain.cpu[cpu].exit[phase].load(std::memory_order_acquire);
        }
    }
    for (unsigned phase = 0; phase < 2; ++phase) {
        // Relaxed: after the acquires above, and after the barrier.
        enters[phase] = domain.shared.enter[phase].load(std::memory_order_relaxed);
    }
    for (unsigned cpu = 0; cpu < cpus; ++cpu) {
        for (unsigned phase = 0; phase < 2; ++phase) {
            // Relaxed: as above.
            enters[phase] += domain.cpu[cpu].enter[phase].load(std::memory_order_relaxed);
        }
    }
    return {{exits[0] == enters[0], exits[1] == enters[1]}};
}

// Announces the wait, looks once more, sleeps until rung for, the limit passes, or for no reason.
void sleep_until_drained_or_woken(domain_state& domain, std::uint32_t phase,
                                  std::uint64_t most_ns) noexcept {
    // Relaxed: the barrier orders it.
    domain.waiting.store(1 + phase, std::memory_order_relaxed);
    // [GP-5] process-wide barrier: the announcement precedes the scan, and a reader's count
    // precedes its load of the announcement. One of the two sees the other. Partner: [RD-6],
    // src/rcu/reader.cpp, or on the per-CPU path this barrier itself, run on the reader's CPU.
    // Weakened: a lost wake-up.
    barrier_for_readers_locked();
    if (!scan(domain).phase[phase]) port::wait(domain.waiting, 1 + phase, most_ns);
    // Relaxed: nobody sleeps now.
    domain.waiting.store(0, std::memory_order_relaxed);
}

// False: `most_ns` have passed since the watch began.
bool sleep_until_drained(domain_state& domain, std::uint32_t phase, std::uint64_t most_ns,
                         stall_watch& watch) noexcept {
    watch.begin();
    while (!scan(domain).phase[phase]) {
        const std::uint64_t waited = watch.waited_ns();
        if (waited >= most_ns) return false;
        if (waited >= watch.due_ns()) {
            watch.report_locked(domain, phase);
            continue;
        }
        sleep_until_drained_or_woken(domain, phase, std::min(watch.due_ns(), most_ns) - waited);
    }
    return true;
}

bool drains_soon(const domain_state& domain, std::uint32_t phase) noexcept {
    for (unsigned spin = 0; spin < spins_before_sleep; ++spin) {
        if (scan(domain).phase[phase]) return true;
        arch::spin_hint();
    }
    return false;
}

drained_phases barrier_and_scan_locked(const domain_state& domain) noexcept {
    // [GP-2] process-wide barrier: the caller's unpublishing precedes every later load of every
    // reader, and every earlier count of every reader precedes the scan (I2).
    // Partners: the compiler fence at [RD-1], the real one at [RD-3], and the caller's at [GP-1].
    // Weakened: the scan misses a reader that holds the old pointer.
    barrier_for_readers_locked();
    return scan(domain);
}

// Waits for what was not drained after the barrier. False: `most_ns` have passed, and nothing has
// been proved.
bool wait_for_the_rest_locked(domain_state& domain, const drained_phases& drained,
                              std::uint64_t most_ns) noexcept {
    // Relaxed: only the holder of the lock writes it.
    const std::uint32_t current = detail::phase_of(domain.entry.load(std::memory_order_relaxed));
    const std::uint32_t other = 1 - current;
    stall_watch watch;
    const auto wait = [&](std::uint32_t phase) noexcept {
        return drained.phase[phase] || drains_soon(domain, phase) ||
               sleep_until_drained(domain, phase, most_ns, watch);
    };
    if (!wait(other)) return false;
    // Relaxed: for progress only (I4).
    domain.entry.store(&domain.cpu[0].enter[other], std::memory_order_relaxed);
    if (!wait(current)) return false;
    watch.report_end_locked();
    return true;
}

bool count_grace_period_locked(std::uint64_t most_ns) noexcept {
    detail::reader_state& self = platform::this_reader();
    // Relaxed: written with the lock held.
    const std::uint64_t sequence = engine.sequence.load(std::memory_order_relaxed);
    const bool timed = sequence / 2 % idle_timing_interval == 0;
    std::uint64_t start = timed ? arch::cycle_counter() : 0;
    self.is_updater = 1;
    engine.sequence.store(sequence + 1, std::memory_order_relaxed);  // ordered by [GP-2]
    const drained_phases drained = barrier_and_scan_locked(detail::default_domain);
    const bool idle = drained.phase[0] && drained.phase[1];
    if (!idle && !timed) start = arch::cycle_counter();
    const bool passed = idle || wait_for_the_rest_locked(detail::default_domain, drained, most_ns);
    // [GP-8] release: the sections waited for precede the number that says so.
    // Partner: the acquire at [GP-9]. Weakened: who polls frees an object under a reader.
    engine.sequence.store(passed ? sequence + 2 : sequence, std::memory_order_release);
    self.is_updater = 0;
    if (passed && (timed || !idle)) {
        engine.latency.add(arch::cycle_counter() - start, idle ? idle_timing_interval : 1);
    }
    return passed;
}

// False: somebody else is running one. Otherwise a whole one has passed, which began after the
// call: nothing need be found out about others', so this does without [GP-1].
bool run_grace_period_alone() noexcept {
    if (!engine.updaters.try_acquire()) return false;
    count_grace_period_locked(platform::forever_ns);
    engine.updaters.release();
    return true;
}

}  // namespace

constinit engine_state engine;

void barrier_for_readers_locked() noexcept {
    // Relaxed: written with the lock held.
    if (engine.asymmetric.load(std::memory_order_relaxed)) {
        // Readers on this path rely on it alone: their own fence is for the compiler.
        port::barrier_everyone();
    } else {
        // [GP-10] seq_cst fence: without a process-wide barrier every reader counts in the shared
        // slot and fences for itself. Partner: [RD-3]. Weakened: as [GP-2].
        std::atomic_thread_fence(std::memory_order_seq_cst);
    }
}

grace_period_number whole_grace_period_from_now() noexcept {
    // [GP-1] seq_cst fence: the caller's unpublishing precedes the load of `sequence`, so a grace
    // period that starts after that load also serves this caller.
    // Partner: the barrier at [GP-2] of the grace period that this caller then waits for.
    // Weakened: the caller shares a grace period that began before its unpublishing.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    // Relaxed: ordered by the fence. The first even number after a whole grace period from now.
    return (engine.sequence.load(std::memory_order_relaxed) + 3) & ~1ull;
}

bool has_passed(grace_period_number number) noexcept {
    // [GP-9] acquire: what the caller does next comes after the sections waited for.
    // Partner: the release at [GP-8]. Weakened: as there.
    return engine.sequence.load(std::memory_order_acquire) >= number;
}

bool wait_for_grace_period(grace_period_number number, std::uint64_t most_ns) noexcept {
    if (most_ns == platform::forever_ns) {
        engine.updaters.acquire();
    } else if (!engine.updaters.acquire_within(most_ns)) {
        return false;
    }
    // Relaxed, here and below: written with the lock held.
    if (engine.sequence.load(std::memory_order_relaxed) >= number) {
        engine.shared_calls.fetch_add(1, std::memory_order_relaxed);  // for people
    }
    // One round, or two if a grace period that was running when the caller asked was given up.
    bool passed = true;
    while (passed && engine.sequence.load(std::memory_order_relaxed) < number) {
        passed = count_grace_period_locked(most_ns);
    }
    engine.updaters.release();
    return passed;
}

}  // namespace nmircu::rcu

namespace nmircu {

void rcu_set_stall_limit(std::uint64_t limit_ms) noexcept {
    constexpr std::uint64_t most_ms = platform::forever_ns / 1'000'000;
    const std::uint64_t limit_ns =
        limit_ms == 0 || limit_ms > most_ms ? platform::forever_ns : limit_ms * 1'000'000;
    rcu::engine.stall_limit_ns.store(limit_ns, std::memory_order_relaxed);  // a setting
}

void rcu_synchronize(rcu_domain&) noexcept {
    rcu::require_outside_sections(platform::this_reader(), "rcu_synchronize",
                                  __builtin_return_address(0),
                                  "Leave the section first, or free later with rcu_retire");
    rcu::start_if_wanted();
    if (!rcu::run_grace_period_alone()) {
        rcu::wait_for_grace_period(rcu::whole_grace_period_from_now());
    }
    platform::order_after(&rcu::checked_order.sections_left);
}

}  // namespace nmircu
