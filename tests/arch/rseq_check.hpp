// SPDX-License-Identifier: MIT
//
// What must hold of a per-CPU addition whatever the machine, found out with an rseq area that no
// kernel knows. For the test of this machine and for programs run under an emulator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include <nmircu/arch/rseq.hpp>

namespace nmircu::arch {

// struct rseq_cs of Linux include/uapi/linux/rseq.h; the assembly writes them into this section.
struct descriptor {
    std::uint32_t version, flags;
    std::uint64_t start, length, abort;
};
extern "C" {
extern const descriptor first_descriptor[] asm("__start___rseq_cs")
    __attribute__((weak, visibility("hidden")));
extern const descriptor last_descriptor[] asm("__stop___rseq_cs")
    __attribute__((weak, visibility("hidden")));
}

// struct rseq, as far as we use it.
struct alignas(32) made_up_area {
    std::uint32_t cpu_id_start = 0;
    std::uint32_t cpu_id = 0;
    std::uint64_t cs = 0;
};
static_assert(offsetof(made_up_area, cpu_id) == 4 && offsetof(made_up_area, cs) == 8);

// Each returns what is wrong, or nothing.

inline std::string check_addition() {
    constexpr unsigned shift = 5, limit = 4;
    alignas(64) static std::uint64_t words[limit << (shift - 3)];
    made_up_area area;
    for (const std::uint32_t cpu : {0u, 3u, 3u}) {
        area.cpu_id = cpu;
        if (!rseq_add_release<shift, limit>(&area, words, 1))
            return "refuses a CPU below the limit";
        if (area.cs != 0) return "leaves a pointer to its descriptor behind";
    }
    std::uint64_t sum = 0;
    for (const std::uint64_t word : words)
        sum += word;
    if (words[0] != 1 || words[3 << (shift - 3)] != 2 || sum != 3) return "adds to another word";

    for (const std::uint32_t cpu : {limit, ~0u, ~1u}) {
        area.cpu_id = cpu;
        if (rseq_add_release<shift, limit>(&area, words, 1)) return "accepts a CPU at the limit";
    }
    if (words[0] != 1 || words[3 << (shift - 3)] != 2) return "adds for a CPU it refuses";
    return {};
}

inline std::string check_options() {
    constexpr unsigned shift = 5, limit = 4;
    alignas(64) static std::uint64_t words[limit << (shift - 3)];
    made_up_area area;
    area.cpu_id = 2;
    if (!rseq_add_release<shift, limit, 16, rseq_descriptor::stays>(&area, words, 1)) {
        return "refuses a CPU below the limit";
    }
    if (words[(2 << (shift - 3)) + 2] != 1) return "does not add at the offset";
    if (area.cs == 0) return "forgets the descriptor that was to stay";
    rseq_forget_descriptor(&area);
    return area.cs == 0 ? "" : "does not forget the descriptor";
}

// The kernel kills a program whose abort handler does not follow the signature.
inline std::string check_descriptors(std::uint32_t signature) {
    if (&first_descriptor[0] == &last_descriptor[0]) return "has no descriptor";
    for (const descriptor* one = first_descriptor; one != &last_descriptor[0]; ++one) {
        if (reinterpret_cast<std::uintptr_t>(one) % 32 != 0) return "a descriptor is not aligned";
        if (one->version != 0 || one->flags != 0) return "a descriptor has a version or flags";
        if (one->length == 0 || one->length > 128) return "a sequence of unlikely length";
        if (one->abort - one->start < one->length) return "an abort handler inside its sequence";
        std::uint32_t found;
        std::memcpy(&found, reinterpret_cast<const char*>(one->abort) - sizeof(found),
                    sizeof(found));
        if (found != signature) return "an abort handler without its signature";
    }
    return {};
}

}  // namespace nmircu::arch
