// SPDX-License-Identifier: MIT
//
// No restartable sequence on this architecture, or none a sanitizer could see: every reader counts
// in the shared slot with atomics.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nmircu::arch {

inline constexpr bool has_rseq = false;

inline std::uint32_t rseq_cpu(const void*) noexcept {
    return ~std::uint32_t{0};
}

enum class rseq_descriptor { cleared, stays };

inline void rseq_forget_descriptor(void*) noexcept {}

template <unsigned Shift, std::uint32_t Limit, std::ptrdiff_t Offset = 0,
          rseq_descriptor Descriptor = rseq_descriptor::cleared>
inline bool rseq_add_release(void*, void*, std::uint64_t) noexcept {
    return false;
}

}  // namespace nmircu::arch
