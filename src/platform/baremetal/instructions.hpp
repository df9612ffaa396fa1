// SPDX-License-Identifier: MIT
//
// Instructions that only a kernel may execute, under the names of the SDM's volume 2.
#pragma once

#include <cstdint>

namespace nmircu::baremetal {

inline void outb(std::uint16_t port, std::uint8_t value) noexcept {
    asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
inline std::uint8_t inb(std::uint16_t port) noexcept {
    std::uint8_t value;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
inline void outl(std::uint16_t port, std::uint32_t value) noexcept {
    asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

inline std::uint64_t rdmsr(std::uint32_t index) noexcept {
    std::uint32_t low, high;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
    return std::uint64_t{high} << 32 | low;
}
inline void wrmsr(std::uint32_t index, std::uint64_t value) noexcept {
    asm volatile("wrmsr"
                 :
                 : "c"(index), "a"(static_cast<std::uint32_t>(value)),
                   "d"(static_cast<std::uint32_t>(value >> 32))
                 : "memory");
}

inline std::uint64_t read_cr2() noexcept {
    std::uint64_t value;
    asm volatile("movq %%cr2, %0" : "=r"(value));
    return value;
}
inline std::uint64_t read_cr3() noexcept {
    std::uint64_t value;
    asm volatile("movq %%cr3, %0" : "=r"(value));
    return value;
}

inline void invlpg(const void* address) noexcept {
    asm volatile("invlpg (%0)" : : "r"(address) : "memory");
}

inline void cli() noexcept {
    asm volatile("cli" : : : "memory");
}
inline void sti() noexcept {
    asm volatile("sti" : : : "memory");
}
[[noreturn]] inline void halt_for_ever() noexcept {
    for (;;)
        asm volatile("cli\n\thlt");
}

}  // namespace nmircu::baremetal
