// SPDX-License-Identifier: MIT
//
// What a Multiboot loader says: Multiboot Specification 0.6.96, section 3.3.
#pragma once

#include <cstdint>

namespace nmircu::baremetal {

inline constexpr std::uint32_t multiboot_magic = 0x2badb002;

struct multiboot_info {
    std::uint32_t flags;
    std::uint32_t mem_lower;  // KiB from 0
    std::uint32_t mem_upper;  // KiB from 1 MiB
    std::uint32_t boot_device;
    std::uint32_t cmdline;
};
inline constexpr std::uint32_t multiboot_has_memory = 1 << 0, multiboot_has_cmdline = 1 << 2;

}  // namespace nmircu::baremetal
