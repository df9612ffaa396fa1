// SPDX-License-Identifier: MIT
//
// Entering and leaving a read-side critical section: the inlined half of the grace-period
// algorithm, whose other half and whose proof are in src/rcu/grace_period.cpp. Runs anywhere: any
// thread, any signal handler, an NMI.
#pragma once

#include <nmircu/arch/cpu.hpp>
#include <nmircu/detail/sanitizer.hpp>
#include <nmircu/platform/reader.hpp>

#pragma GCC visibility push(default)

namespace nmircu::detail {

// The slow halves, in src/rcu/reader.cpp. They count in the shared slot, or first find out that
// this thread can count per CPU after all.
[[gnu::cold]] void enter_slow(reader_state& self, std::uint32_t phase) noexcept;
[[gnu::cold]] void exit_slow(reader_state& self, std::uint32_t phase) noexcept;
[[gnu::cold]] void wake_updater(domain_state& domain, std::uint32_t phase) noexcept;

// The nesting word is only ever changed by its own thread and by signals on that thread, which put
// it back before they return; a relaxed atomic access keeps the compiler from splitting it.
[[gnu::always_inline]] NMIRCU_NO_SANITIZE_NULL inline void set_section(
    reader_state& self, std::uint64_t value) noexcept {
    __atomic_store_n(&self.section, value, __ATOMIC_RELAXED);
}
[[gnu::always_inline]] NMIRCU_NO_SANITIZE_NULL inline std::uint64_t section_of(
    const reader_state& self) noexcept {
    return __atomic_load_n(&self.section, __ATOMIC_RELAXED);
}

[[gnu::always_inline]] NMIRCU_NO_SANITIZE_NULL inline void enter_section() noexcept {
    reader_state& self = platform::this_reader();
    const std::uint64_t section = section_of(self);
    if (section < one_section) [[likely]] {
        domain_state& domain = *self.domain;
        // Relaxed: a stale phase costs a grace period some waiting, never safety.
        const std::uint32_t phase = domain.phase.load(std::memory_order_relaxed);
        if (self.per_cpu == nullptr ||
            !platform::per_cpu_add_release(self.per_cpu, &domain.cpu[0].enter[phase], 1))
            [[unlikely]] {
            enter_slow(self, phase);
        }
        self.entered_at = arch::code_address();
        // After the count: a signal that arrives in between finds no section and counts its own.
        set_section(self, one_section | phase);
    } else {
        set_section(self, section + one_section);
    }
    // [RD-1] compiler fence: the count and the nesting word precede every access of the section.
    // Partner: the process-wide barrier at [GP-2], src/rcu/grace_period.cpp, which turns it into a
    // CPU fence when one is needed. A thread that counted in the shared slot has run a real one.
    // Weakened: an access moves above the count, where no grace period waits for it.
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

[[gnu::always_inline]] NMIRCU_NO_SANITIZE_NULL inline void exit_section() noexcept {
    // [RD-2] compiler fence: every access of the section precedes the drop of the nesting word and
    // the count, which is a release on every architecture (per_cpu_add_release).
    // Partner: the acquire scan at [GP-7], src/rcu/grace_period.cpp.
    // Weakened: an object is freed while this CPU still reads it.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    reader_state& self = platform::this_reader();
    const std::uint64_t section = section_of(self);
    if (section < 2 * one_section) [[likely]] {
        const std::uint32_t phase = static_cast<std::uint32_t>(section & 1);
        domain_state& domain = *self.domain;
        // Before the count: a signal in between counts itself, while this thread is still counted.
        set_section(self, 0);
        if (self.per_cpu == nullptr ||
            !platform::per_cpu_add_release(self.per_cpu, &domain.cpu[0].exit[phase], 1))
            [[unlikely]] {
            exit_slow(self, phase);
            return;
        }
        // Relaxed: if this misses the updater's announcement, the updater's barrier before
        // its last scan came later than our count, and that scan sees the count.
        if (domain.waiting.load(std::memory_order_relaxed) != 0) [[unlikely]] {
            wake_updater(domain, phase);
        }
    } else {
        set_section(self, section - one_section);
    }
}

}  // namespace nmircu::detail

#pragma GCC visibility pop
