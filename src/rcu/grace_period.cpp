// SPDX-License-Identifier: MIT
//
// The grace period: registration-free, per-CPU, two phases, one process-wide barrier. The readers'
// half is include/nmircu/detail/reader.hpp. Thread context, outside any section; blocks.
//
//   variable            written by                     read by          protection
//   phase               updater, engine.updaters held  readers          relaxed; a hint
//   cpu[i].enter/exit   readers on CPU i               scan             exit is a release
//   shared.enter/exit   readers without a CPU slot     scan             read-modify-write
//   waiting             updater; the reader who rings  readers, futex   see [GP-5]
//   sequence            updater, engine.updaters held  callers          [GP-1]
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
//   I4  The flip of `phase` is for progress only: it keeps new readers out of the sums waited for.
//
//   idle --synchronize--> barrier --both drained--> idle
//                            |
//                            +--> wait for !phase --> flip --> wait for the old phase --> idle
#include "platform/text.hpp"
#include "rcu/engine.hpp"

namespace nmircu::rcu {

namespace {

using detail::domain_state;
using platform::port;

// How often a scan is repeated before the updater sleeps: a few microseconds, longer than a typical
// handler, shorter than a futex round trip.
constexpr unsigned spins_before_sleep = 200;

// Time after which a grace period is reported, again and again, until it ends.
constexpr std::uint64_t stall_limit_ns = 10'000'000'000;

struct drained_phases {
    bool phase[2];
};

drained_phases scan(const domain_state& domain) noexcept {
    // Relaxed: constant once the engine has started, too large before.
    const std::uint32_t cpus = engine.cpus.load(std::memory_order_relaxed);
    std::uint64_t exits[2] = {}, enters[2] = {};
    for (unsigned phase = 0; phase < 2; ++phase) {
        // [GP-4] acquire: the enter of every exit counted here is seen by the second loop, and the
        // section's accesses precede what the updater does next.
        // Partner: the release at [RD-4], src/rcu/reader.cpp. Weakened: I1 fails and an object is
        // freed under a reader.
        exits[phase] = domain.shared.exit[phase].load(std::memory_order_acquire);
        for (unsigned cpu = 0; cpu < cpus; ++cpu) {
            // [GP-7] acquire: as above, for per-CPU slots. Partner: the release at [RD-2],
            // nmircu/detail/reader.hpp. Weakened: as above.
            exits[phase] += domain.cpu[cpu].exit[phase].load(std::memory_order_acquire);
        }
    }
    for (unsigned phase = 0; phase < 2; ++phase) {
        // Relaxed: after the acquires above, and after the barrier.
        enters[phase] = domain.shared.enter[phase].load(std::memory_order_relaxed);
        for (unsigned cpu = 0; cpu < cpus; ++cpu) {
            enters[phase] += domain.cpu[cpu].enter[phase].load(std::memory_order_relaxed);
        }
    }
    return {{exits[0] == enters[0], exits[1] == enters[1]}};
}

void report_stall(std::uint32_t phase, std::uint64_t waited_ns) noexcept {
    platform::text_line line;
    line << "nmircu: a grace period has waited " << waited_ns / 1'000'000'000
         << " s for a read-side critical section of phase " << phase
         << " to be left; a thread sleeps, loops or died inside one";
    port::report(line.c_str());
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

void wait_until_drained(domain_state& domain, std::uint32_t phase) noexcept {
    for (unsigned spin = 0; spin < spins_before_sleep; ++spin) {
        if (scan(domain).phase[phase]) return;
        arch::spin_hint();
    }
    const std::uint64_t start = port::now_ns();
    std::uint64_t report_at = start + stall_limit_ns;
    while (!scan(domain).phase[phase]) {
        const std::uint64_t now = port::now_ns();
        if (now >= report_at) {
            report_stall(phase, now - start);
            report_at = now + stall_limit_ns;
        }
        sleep_until_drained_or_woken(domain, phase, report_at - now);
    }
}

void run_grace_period_locked(domain_state& domain) noexcept {
    // [GP-2] process-wide barrier: the caller's unpublishing precedes every later load of every
    // reader, and every earlier count of every reader precedes the scan (I2).
    // Partners: the compiler fence at [RD-1], the real one at [RD-3], and the caller's at [GP-1].
    // Weakened: the scan misses a reader that holds the old pointer.
    barrier_for_readers_locked();
    const drained_phases drained = scan(domain);
    if (drained.phase[0] && drained.phase[1]) return;

    // Relaxed: only the holder of the lock writes it.
    const std::uint32_t current = domain.phase.load(std::memory_order_relaxed);
    const std::uint32_t other = 1 - current;
    if (!drained.phase[other]) wait_until_drained(domain, other);
    // Relaxed: for progress only (I4).
    domain.phase.store(other, std::memory_order_relaxed);
    if (!drained.phase[current]) wait_until_drained(domain, current);
}

// A caller inside a section would wait for itself.
void require_outside_sections(const detail::reader_state& self, const void* caller) noexcept {
    if (detail::section_of(self) < detail::one_section) return;
    platform::text_line line;
    line << "nmircu: rcu_synchronize called at " << caller
         << " inside a read-side critical section entered at " << self.entered_at;
    if (self.handler != nullptr) {
        line << ", in handler " << self.handler->name << " (" << self.handler->function << ")";
    }
    line << "; it would wait for itself. Leave the section first, or free later with rcu_retire";
    port::panic(line.c_str());
}

void synchronize(domain_state& domain, const void* caller) noexcept {
    detail::reader_state& self = platform::this_reader();
    require_outside_sections(self, caller);

    // [GP-1] seq_cst fence: the caller's unpublishing precedes the load of `sequence`, so a grace
    // period that starts after that load also serves this caller.
    // Partner: the barrier at [GP-2] of the grace period that this caller then waits for.
    // Weakened: the caller shares a grace period that began before its unpublishing.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    // Relaxed: ordered by the fence. The first even number after a whole grace period from now.
    const std::uint64_t enough = (engine.sequence.load(std::memory_order_relaxed) + 3) & ~1ull;

    platform::lock_guard guard(engine.updaters);
    // Relaxed: written with the lock held.
    const std::uint64_t sequence = engine.sequence.load(std::memory_order_relaxed);
    if (sequence >= enough) {
        engine.shared_calls.fetch_add(1, std::memory_order_relaxed);  // for people
        return;
    }
    const std::uint64_t start = arch::cycle_counter();
    self.is_updater = 1;
    engine.sequence.store(sequence + 1, std::memory_order_relaxed);  // ordered by [GP-2]
    run_grace_period_locked(domain);
    // Relaxed: read with the lock held, or as a hint at [GP-1].
    engine.sequence.store(sequence + 2, std::memory_order_relaxed);
    self.is_updater = 0;
    engine.latency.add(arch::cycle_counter() - start);
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

}  // namespace nmircu::rcu

namespace nmircu {

void rcu_synchronize(rcu_domain&) noexcept {
    rcu::synchronize(detail::default_domain, __builtin_return_address(0));
}

rcu_statistics rcu_read_statistics() noexcept {
    const auto& engine = rcu::engine;
    return {engine.latency.total(),
            engine.shared_calls.load(std::memory_order_relaxed),  // for people
            platform::port::cycles_to_ns(engine.latency.median()),
            platform::port::cycles_to_ns(engine.latency.longest())};
}

}  // namespace nmircu
