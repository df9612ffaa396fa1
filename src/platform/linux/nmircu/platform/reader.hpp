// SPDX-License-Identifier: MIT
//
// What a read-side critical section needs from Linux: the thread's own record, and an addition to
// a per-CPU word. Inlined into every reader, so it holds nothing else.
#pragma once

#include <nmircu/arch/rseq.hpp>
#include <nmircu/detail/reader_state.hpp>
#include <nmircu/detail/sanitizer.hpp>

namespace nmircu::platform {

// Thread-local, never lazily allocated (initial-exec), so a signal handler may touch it as its
// thread's first act. The library exports this and no other variable: a thread-local one is never
// copy-relocated into a program that was linked without -fPIC.
extern __thread detail::reader_state reader_state_of_this_thread
    __attribute__((tls_model("initial-exec"), visibility("default")));

[[gnu::always_inline]] NMIRCU_NO_SANITIZE_NULL inline detail::reader_state& this_reader() noexcept {
    return reader_state_of_this_thread;
}

// Whether this thread may try the additions below; it finds out in its first section.
[[gnu::always_inline]] NMIRCU_NO_SANITIZE_NULL inline bool counts_per_cpu(
    const detail::reader_state& self) noexcept {
    return self.per_cpu != nullptr;
}

// Adds to the word at `cpu0_word + (cpu << Shift)` of the running CPU; all earlier accesses come
// first. False, with nothing changed: this thread cannot count per CPU, use a shared word.
// `per_cpu` is reader_state::per_cpu, not null.
template <unsigned Shift = detail::slot_shift>
[[gnu::always_inline]] inline bool per_cpu_add_release(void* per_cpu, void* cpu0_word,
                                                       std::uint64_t value) noexcept {
    return arch::rseq_add_release<Shift, detail::max_cpus>(per_cpu, cpu0_word, value);
}

// The same for the counts of a section. Between the two the kernel may still hold the address of a
// descriptor in the code that entered: whoever unloads code has waited for its sections to end.
[[gnu::always_inline]] inline bool count_enter(void* per_cpu, detail::phase_mark mark) noexcept {
    return arch::rseq_add_release<detail::slot_shift, detail::max_cpus, 0,
                                  arch::rseq_descriptor::stays>(per_cpu, mark, 1);
}
[[gnu::always_inline]] inline bool count_exit(void* per_cpu, detail::phase_mark mark) noexcept {
    return arch::rseq_add_release<detail::slot_shift, detail::max_cpus, detail::mark_to_exit>(
        per_cpu, mark, 1);
}
// For a section that is left without count_exit.
inline void forget_code(void* per_cpu) noexcept {
    if (per_cpu != nullptr) arch::rseq_forget_descriptor(per_cpu);
}

// The CPU the thread runs on, as a hint; max_cpus or more if it is not known that cheaply.
[[gnu::always_inline]] inline std::uint32_t this_cpu(const void* per_cpu) noexcept {
    return arch::rseq_cpu(per_cpu);
}

}  // namespace nmircu::platform
