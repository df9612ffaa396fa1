// SPDX-License-Identifier: MIT
//
// Entering and leaving a read-side critical section: the inlined half of the grace-period
// algorithm, whose other half and whose proof are in src/rcu/grace_period.cpp. Runs anywhere: any
// thread, any signal handler, an NMI.
#pragma once

#include <nmircu/arch/cpu.hpp>
#include <nmircu/detail/misuse.hpp>
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

// Before a section is entered or left that finds the nesting word `section`.
[[gnu::always_inline]] NMIRCU_NO_SANITIZE_NULL inline void check_enter(
    reader_state& self, std::uint64_t section) noexcept {
    self.locked_at = arch::code_address();
    if (section >= most_nested_sections) [[unlikely]]
        report_nesting(self, self.locked_at);
}
[[gnu::always_inline]] NMIRCU_NO_SANITIZE_NULL inline void check_exit(
    reader_state& self, std::uint64_t section) noexcept {
    if (section < one_section) [[unlikely]]
        report_unlock(self, arch::code_address());
    self.unlocked_at = arch::code_address();
}

[[gnu::always_inline]] NMIRCU_NO_SANITIZE_NULL inline void enter_section() noexcept {
    reader_state& self = platform::this_reader();
    const std::uint64_t section = section_of(self);
    if constexpr (checks_misuse) check_enter(self, section);
    if (section < one_section) [[likely]] {
        // Relaxed: a stale phase costs a grace period some waiting, never safety.
        const phase_mark mark = self.domain->entry.load(std::memory_order_relaxed);
        if (!platform::counts_per_cpu(self) || !platform::count_enter(self.per_cpu, mark))
            [[unlikely]] {
            enter_slow(self, phase_of(mark));
        }
        self.entered_at = arch::code_address();
        if constexpr (checks_misuse) {
            self.entered_frame = __builtin_frame_address(0);
            self.entered_frame_at = self.entered_at;
        }
        // After the count: a signal that arrives in between finds no section and counts its own.
        set_section(self, reinterpret_cast<std::uintptr_t>(mark));
    } else {
        set_section(self, section + nested_section);
    }
    // [RD-1] compiler fence: the count and the nesting word precede every access of the section.
    // Partner: the process-wide barrier at [GP-2], src/rcu/grace_period.cpp, which turns it into a
    // CPU fence when one is needed. A thread that counted in the shared slot has run a real one.
    // Weakened: an access moves above the count, where no grace period waits for it.
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

[[gnu::always_inline]] NMIRCU_NO_SANITIZE_NULL inline void exit_section() noexcept {
    // [RD-2] compiler fence: every access of the section precedes the drop of the nesting word and
    // the count, which is a release on every architecture (count_exit).
    // Partner: the acquire scan at [GP-7], src/rcu/grace_period.cpp.
    // Weakened: an object is freed while this CPU still reads it.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    reader_state& self = platform::this_reader();
    const std::uint64_t section = section_of(self);
    if constexpr (checks_misuse) check_exit(self, section);
    if (section < nested_section) [[likely]] {
        domain_state& domain = *self.domain;
        // Before the count: a signal in between counts itself, while this thread is still counted.
        set_section(self, 0);
        if (!platform::counts_per_cpu(self) ||
            !platform::count_exit(self.per_cpu, reinterpret_cast<phase_mark>(section)))
            [[unlikely]] {
            exit_slow(self, phase_of(section));
            return;
        }
        // Relaxed: if this misses the updater's announcement, the updater's barrier before
        // its last scan came later than our count, and that scan sees the count.
        if (domain.waiting.load(std::memory_order_relaxed) != 0) [[unlikely]] {
            wake_updater(domain, phase_of(section));
        }
    } else {
        set_section(self, section - nested_section);
    }
}

}  // namespace nmircu::detail

#pragma GCC visibility pop
