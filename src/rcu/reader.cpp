// SPDX-License-Identifier: MIT
//
// The slow halves of entering and leaving a section: a thread's first section, and every section of
// a thread that cannot count per CPU. Any context.
#include "rcu/checked_order.hpp"
#include "rcu/engine.hpp"

namespace nmircu::rcu {

// Only once the engine has registered for the process-wide barrier: until then readers need a
// fence, and the per-CPU path has none.
bool counts_per_cpu(detail::reader_state& self) noexcept {
    // [RD-5] acquire: the registration precedes the first section that relies on it.
    // Partner: the release at [GP-6], src/rcu/start.cpp. Weakened: an updater that runs without
    // the barrier misses this reader.
    if (self.per_cpu == nullptr && engine.asymmetric.load(std::memory_order_acquire)) {
        self.per_cpu = port::per_cpu_area();
    }
    return self.per_cpu != nullptr;
}

}  // namespace nmircu::rcu

namespace nmircu::detail {

void enter_slow(reader_state& self, std::uint32_t phase) noexcept {
    domain_state& domain = *self.domain;
    if (rcu::counts_per_cpu(self) &&
        platform::count_enter(self.per_cpu, &domain.cpu[0].enter[phase])) {
        return;
    }
    // Relaxed: the fence below orders it.
    domain.shared.enter[phase].fetch_add(1, std::memory_order_relaxed);
    // [RD-3] seq_cst fence: the count precedes every access of the section, also for an updater
    // without a process-wide barrier. Partners: the barrier at [GP-2] and, where there is none,
    // the fence at [GP-10], src/rcu/grace_period.cpp. Weakened: the updater's scan misses a reader
    // that sees the old pointer (store buffering).
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (platform::is_watched_blindly()) platform::order_after(&rcu::checked_order.published);
}

void exit_slow(reader_state& self, std::uint32_t phase) noexcept {
    domain_state& domain = *self.domain;
    if (self.per_cpu == nullptr ||
        !platform::count_exit(self.per_cpu, &domain.cpu[0].enter[phase])) {
        platform::forget_code(self.per_cpu);
        platform::order_before(&rcu::checked_order.sections_left);
        // [RD-4] release: the section precedes the count. Partner: the acquire scan at [GP-4],
        // src/rcu/grace_period.cpp. Weakened: a use after free.
        domain.shared.exit[phase].fetch_add(1, std::memory_order_release);
        // [RD-6] seq_cst fence: the count precedes the load of `waiting` below.
        // Partner: the barrier at [GP-5], src/rcu/grace_period.cpp. Weakened: a lost wake-up.
        std::atomic_thread_fence(std::memory_order_seq_cst);
    }
    // Relaxed: ordered by the fence above, or by the updater's barrier at [GP-5].
    if (domain.waiting.load(std::memory_order_relaxed) != 0) wake_updater(domain, phase);
}

void wake_updater(domain_state& domain, std::uint32_t phase) noexcept {
    std::uint32_t expected = 1 + phase;
    // Relaxed: it only says that somebody rang; the woken updater scans the counts again.
    if (domain.waiting.compare_exchange_strong(expected, 0, std::memory_order_relaxed,
                                               std::memory_order_relaxed)) {
        platform::port::wake_all(domain.waiting);
    }
}

}  // namespace nmircu::detail
