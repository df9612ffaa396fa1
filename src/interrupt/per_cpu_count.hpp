// SPDX-License-Identifier: MIT
//
// Exact per-CPU counters for handlers: a plain addition inside a restartable sequence where the
// thread can, an atomic one on a twin word where it cannot. The two kinds never meet in one word.
// Any context.
#pragma once

#include <cstdint>

#include <nmircu/platform/port.hpp>

namespace nmircu::interrupt {

// Plain integers, so that a table of many thousand is zeroes in .bss without any initialiser.
struct count_words {
    std::uint64_t plain;
    std::uint64_t shared;

    // Relaxed: counts for people; exact once the counting has stopped.
    [[nodiscard]] std::uint64_t read() const noexcept {
        return __atomic_load_n(&plain, __ATOMIC_RELAXED) +
               __atomic_load_n(&shared, __ATOMIC_RELAXED);
    }
    void clear() noexcept {
        __atomic_store_n(&plain, 0, __ATOMIC_RELAXED);   // nobody counts
        __atomic_store_n(&shared, 0, __ATOMIC_RELAXED);  // nobody counts
    }
    // Where a restartable addition is not to be had.
    void add_shared(std::uint64_t value) noexcept {
        __atomic_fetch_add(&shared, value, __ATOMIC_RELAXED);  // a count for people
    }
};

// Adds to the running CPU's counterpart of `cpu0`, whose rows are 1 << RowShift bytes apart. `cpu`
// is where an addition goes that cannot be restarted.
template <unsigned RowShift>
[[gnu::always_inline]] inline void add_per_cpu(detail::reader_state& self, count_words& cpu0,
                                               int cpu, std::uint64_t value) noexcept {
    if (platform::counts_per_cpu(self) &&
        platform::per_cpu_add_release<RowShift>(self.per_cpu, &cpu0.plain, value)) [[likely]] {
        return;
    }
    auto* const row = reinterpret_cast<char*>(&cpu0) + (std::uintptr_t(cpu) << RowShift);
    reinterpret_cast<count_words*>(row)->add_shared(value);
}

}  // namespace nmircu::interrupt
