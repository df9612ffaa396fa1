// SPDX-License-Identifier: MIT
//
// How the trampoline tells the interrupts of this library's own sources from everybody else's
// signals: a 64-bit tag that each source makes the kernel deliver, as a timer's or a queued
// signal's si_value and as a perf event's sig_data. Context: any.
#pragma once

#include <csignal>
#include <cstdint>
#include <cstring>

namespace nmircu::platform {

// SIGTRAP is what perf sends and cannot be chosen. For everything else: SIGSTKFLT, a standard
// signal (so unread ones merge instead of piling up) that nothing on Linux has ever sent.
inline constexpr int perf_signal = SIGTRAP;
inline constexpr int nmi_signal = SIGSTKFLT;

// Upper half: "nmi!". Lower half: the thread the event or timer was made for; of a queued signal,
// the number it was requested with (0: nmi_raise).
inline constexpr std::uint64_t signal_tag_magic = 0x6e6d6921ull << 32;

// In the lower half of a queued signal's tag: it is the wall source's, to the slot in the rest.
inline constexpr std::uint32_t wall_tag_bit = 0x80000000u;

constexpr std::uint64_t signal_tag(std::uint32_t thread_id) noexcept {
    return signal_tag_magic | thread_id;
}
constexpr bool is_signal_tag(std::uint64_t value) noexcept {
    return (value & ~0xffffffffull) == signal_tag_magic;
}
constexpr std::uint32_t signal_tag_thread(std::uint64_t value) noexcept {
    return static_cast<std::uint32_t>(value);
}

// si_code of a perf event's SIGTRAP, and its sig_data (uapi/asm-generic/siginfo.h, _sigfault._perf;
// glibc 2.36 names neither). The layout is that of 64-bit kernels.
inline constexpr int trap_perf = 6;
inline std::uint64_t perf_signal_data(const siginfo_t* info) noexcept {
    static_assert(sizeof(void*) == 8);
    constexpr std::size_t data_at = 24;
    std::uint64_t data;
    std::memcpy(&data, reinterpret_cast<const char*>(info) + data_at, sizeof(data));
    return data;
}

}  // namespace nmircu::platform
