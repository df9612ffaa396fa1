// SPDX-License-Identifier: MIT
//
// A per-CPU addition as a restartable sequence, x86-64. If the thread is preempted, migrated or
// interrupted by a signal between the CPU number's load and the addition, the kernel moves it to
// the abort label and it starts again; so a plain `add` without a lock prefix is exact.
// Source: Linux include/uapi/linux/rseq.h; the signature before an abort handler is the operand of
// an undefined instruction (ud1), as in the kernel's selftests for x86.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nmircu::arch {

// Offsets in struct rseq (include/uapi/linux/rseq.h): cpu_id and rseq_cs.
inline constexpr std::ptrdiff_t rseq_cpu_id_offset = 4;
inline constexpr std::ptrdiff_t rseq_cs_offset = 8;
inline constexpr bool has_rseq = true;

// The CPU the thread runs on; not below INT32_MAX if the area is not registered.
[[gnu::always_inline]] inline std::uint32_t rseq_cpu(const void* rseq_area) noexcept {
    const char* const at = static_cast<const char*>(rseq_area) + rseq_cpu_id_offset;
    // Relaxed: the kernel writes it, on this CPU, and it may be stale at once.
    return __atomic_load_n(reinterpret_cast<const std::uint32_t*>(at), __ATOMIC_RELAXED);
}

// What becomes of the kernel's pointer to the sequence's descriptor. The kernel would clear it
// lazily, when the thread is next preempted, but would then follow a dangling one if the code had
// been unloaded in between. stays: the caller sees to that.
enum class rseq_descriptor { cleared, stays };

inline void rseq_forget_descriptor(void* rseq_area) noexcept {
    char* const at = static_cast<char*>(rseq_area) + rseq_cs_offset;
    // Relaxed: the kernel reads it on this thread.
    __atomic_store_n(reinterpret_cast<std::uint64_t*>(at), 0, __ATOMIC_RELAXED);
}

// Adds `value` to the 64-bit word at `cpu0 + Offset + (cpu << Shift)`, where cpu is the running
// one. Returns false, having changed nothing, if the CPU number is not below `Limit`: then this
// thread has no registered rseq area (its cpu_id is negative), or the number is out of range.
//
// x86 stores are not reordered with older loads or stores (SDM volume 3, section 9.2.2), so the
// addition is a release and needs no further fence; the asm is a compiler barrier.
template <unsigned Shift, std::uint32_t Limit, std::ptrdiff_t Offset = 0,
          rseq_descriptor Descriptor = rseq_descriptor::cleared>
[[gnu::always_inline]] inline bool rseq_add_release(void* rseq_area, void* cpu0,
                                                    std::uint64_t value) noexcept {
    // The address is formed in a register of its own: an indexed add defeats the CPU's memory
    // renaming and measured 0.6 ns slower (2026-11-21, Sapphire Rapids).
    asm goto(
        ".pushsection __rseq_cs, \"aw?\"\n\t"
        ".balign 32\n"
        "3:\n\t"
        ".long 0, 0\n\t"
        ".quad 1f, (2f - 1f), 4f\n\t"
        ".popsection\n\t"
        ".pushsection __rseq_failure, \"ax?\"\n\t"
        ".byte 0x0f, 0xb9, 0x3d\n\t"
        ".long 0x53053053\n"
        "4:\n\t"
        "jmp 0f\n\t"
        ".popsection\n"
        "0:\n\t"
        "leaq 3b(%%rip), %%rax\n\t"
        "movq %%rax, %c[cs](%[area])\n"
        "1:\n\t"
        "movl %c[cpu](%[area]), %%eax\n\t"
        "cmpl %[limit], %%eax\n\t"
        "jae %l[unusable]\n\t"
        "shlq %[shift], %%rax\n\t"
        "addq %[base], %%rax\n\t"
        "addq %[value], %c[offset](%%rax)\n"
        "2:\n\t"
        :
        : [area] "r"(rseq_area), [base] "r"(cpu0), [value] "er"(value), [limit] "i"(Limit),
          [shift] "i"(Shift), [offset] "i"(Offset), [cpu] "i"(rseq_cpu_id_offset),
          [cs] "i"(rseq_cs_offset)
        : "rax", "memory", "cc"
        : unusable);
    if constexpr (Descriptor == rseq_descriptor::cleared) rseq_forget_descriptor(rseq_area);
    return true;
unusable:
    return false;
}

}  // namespace nmircu::arch
