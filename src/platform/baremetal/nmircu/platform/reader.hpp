// SPDX-License-Identifier: MIT
//
// What a read-side critical section needs from the bare machine: the running thread's record, found
// through GS, and an addition to a per-CPU word. Inlined into every reader, so it holds nothing
// else.
//
// A thread never leaves its CPU, and GS knows how far the CPU's rows are from CPU 0's. One
// instruction adds to the word, which neither an interrupt nor an NMI can split; nobody else writes
// it. `per_cpu` is the CPU's number plus one, as a pointer.
//
// The counts of a section are locked additions: each is a full barrier (SDM volume 3, section
// 9.2.5), so no grace period has to send anybody an interrupt. docs/design/baremetal.md has the
// alternatives.
#pragma once

#include <nmircu/detail/reader_state.hpp>
#include <nmircu/detail/sanitizer.hpp>

namespace nmircu::platform {

// Where the per-CPU area (src/platform/baremetal/cpu_area.hpp) has what is inlined from here.
inline constexpr int gs_reader = 8;
inline constexpr int gs_cpu = 16;
inline constexpr int gs_rows = 0xc0;  // by shift: CPU number << shift

// Constant for a thread, so the compiler may keep it.
[[gnu::always_inline]] inline detail::reader_state& this_reader() noexcept {
    detail::reader_state* reader;
    asm("movq %%gs:%c1, %0" : "=r"(reader) : "i"(gs_reader));
    return *reader;
}

// Every thread counts per CPU, its first section included.
[[nodiscard]] constexpr bool counts_per_cpu(const detail::reader_state&) noexcept {
    return true;
}

// The word of this CPU, of which CPU 0's is `cpu0`. The row is constant for a thread.
template <unsigned Shift>
[[gnu::always_inline]] inline std::uint64_t* word_of_this_cpu(void* cpu0) noexcept {
    static_assert(Shift < 16);
    std::uintptr_t row;
    asm("movq %%gs:%c1, %0" : "=r"(row) : "i"(gs_rows + int(Shift) * 8));
    return reinterpret_cast<std::uint64_t*>(reinterpret_cast<std::uintptr_t>(cpu0) + row);
}

// Adds to the word at `cpu0_word + (cpu << Shift)` of the running CPU; all earlier accesses come
// first, as x86 stores are not reordered with them (SDM volume 3, section 9.2.2).
template <unsigned Shift = detail::slot_shift>
[[gnu::always_inline]] inline bool per_cpu_add_release(void*, void* cpu0_word,
                                                       std::uint64_t value) noexcept {
    std::uint64_t* const word = word_of_this_cpu<Shift>(cpu0_word);
    asm volatile("addq %1, %0" : "+m"(*word) : "er"(value) : "memory", "cc");
    return true;
}

[[gnu::always_inline]] inline bool count_enter(void*, detail::phase_mark mark) noexcept {
    // [BM-1] seq_cst: the count precedes every access of the section, for updaters on other CPUs.
    // Partner: the fence at [BM-3], src/platform/baremetal/port.cpp, which stands for the
    // all-CPU barrier. Weakened: the scan misses a reader that holds the old pointer.
    __atomic_fetch_add(word_of_this_cpu<detail::slot_shift>(mark), 1, __ATOMIC_SEQ_CST);
    return true;
}
[[gnu::always_inline]] inline bool count_exit(void*, detail::phase_mark mark) noexcept {
    char* const exits = reinterpret_cast<char*>(mark) + detail::mark_to_exit;
    // [BM-2] seq_cst: the section precedes the count, and the count the look whether somebody
    // waits. Partner: [BM-3], src/platform/baremetal/port.cpp. Weakened: an object is freed under
    // a reader, or an updater sleeps on.
    __atomic_fetch_add(word_of_this_cpu<detail::slot_shift>(exits), 1, __ATOMIC_SEQ_CST);
    return true;
}
inline void forget_code(void*) noexcept {}

// The CPU the thread runs on.
[[gnu::always_inline]] inline std::uint32_t this_cpu(const void* per_cpu) noexcept {
    return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(per_cpu)) - 1;
}

}  // namespace nmircu::platform
