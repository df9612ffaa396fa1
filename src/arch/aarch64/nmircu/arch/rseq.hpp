// SPDX-License-Identifier: MIT
//
// A per-CPU addition as a restartable sequence, AArch64. See the x86-64 variant for the scheme.
// Source: Linux include/uapi/linux/rseq.h; the signature is `brk #0x45e0` (0xd428bc00), placed in
// the word before the abort handler, as in the kernel's selftests for arm64.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nmircu::arch {

inline constexpr std::ptrdiff_t rseq_cpu_id_offset = 4;
inline constexpr std::ptrdiff_t rseq_cs_offset = 8;
inline constexpr bool has_rseq = true;

// The CPU the thread runs on; not below INT32_MAX if the area is not registered.
[[gnu::always_inline]] inline std::uint32_t rseq_cpu(const void* rseq_area) noexcept {
    const char* const at = static_cast<const char*>(rseq_area) + rseq_cpu_id_offset;
    // Relaxed: the kernel writes it, on this CPU, and it may be stale at once.
    return __atomic_load_n(reinterpret_cast<const std::uint32_t*>(at), __ATOMIC_RELAXED);
}

// As on x86-64.
enum class rseq_descriptor { cleared, stays };

inline void rseq_forget_descriptor(void* rseq_area) noexcept {
    char* const at = static_cast<char*>(rseq_area) + rseq_cs_offset;
    // Relaxed: the kernel reads it on this thread.
    __atomic_store_n(reinterpret_cast<std::uint64_t*>(at), 0, __ATOMIC_RELAXED);
}

// As on x86-64. The final store is a store-release (STLR): accesses of the section that precede it
// may not be observed after it. Entering a section needs no order here; the process-wide barrier
// of the grace period supplies it.
template <unsigned Shift, std::uint32_t Limit, std::ptrdiff_t Offset = 0,
          rseq_descriptor Descriptor = rseq_descriptor::cleared>
[[gnu::always_inline]] inline bool rseq_add_release(void* rseq_area, void* cpu0,
                                                    std::uint64_t value) noexcept {
    asm goto(
        ".pushsection __rseq_cs, \"aw?\"\n\t"
        ".balign 32\n"
        "3:\n\t"
        ".long 0, 0\n\t"
        ".quad 1f, (2f - 1f), 4f\n\t"
        ".popsection\n\t"
        ".pushsection __rseq_failure, \"ax?\"\n\t"
        ".long 0xd428bc00\n"
        "4:\n\t"
        "b 0f\n\t"
        ".popsection\n"
        "0:\n\t"
        "adrp x16, 3b\n\t"
        "add x16, x16, :lo12:3b\n\t"
        "str x16, [%[area], %[cs]]\n"
        "1:\n\t"
        "ldr w16, [%[area], %[cpu_at]]\n\t"
        "cmp x16, %[limit]\n\t"
        "b.hs %l[unusable]\n\t"
        "add x16, %[base], x16, lsl %[shift]\n\t"
        "ldr x17, [x16]\n\t"
        "add x17, x17, %[value]\n\t"
        "stlr x17, [x16]\n"
        "2:\n\t"
        :
        : [area] "r"(rseq_area), [base] "r"(static_cast<char*>(cpu0) + Offset), [value] "r"(value),
          [limit] "r"(std::uint64_t{Limit}), [shift] "i"(Shift), [cpu_at] "i"(rseq_cpu_id_offset),
          [cs] "i"(rseq_cs_offset)
        : "x16", "x17", "memory", "cc"
        : unusable);
    if constexpr (Descriptor == rseq_descriptor::cleared) rseq_forget_descriptor(rseq_area);
    return true;
unusable:
    return false;
}

}  // namespace nmircu::arch
