// SPDX-License-Identifier: MIT
//
// The page tables of the first 2 MiB, in which the image's code lies: SDM volume 3, section 4.5.
// Everything is where it is physically; boot.S says the rest. Thread context or, for one's own CPU,
// an exception; other CPUs may see the old entry for a while.
#pragma once

#include <cstdint>

namespace nmircu::baremetal {

// Page 0, where null pointers lead, and one for whoever needs a page that is not there.
inline constexpr std::uintptr_t absent_page = 0x7000;
// Once.
void start_pages() noexcept;

// Of the 4 KiB page at an address below 2 MiB.
void set_present(std::uintptr_t address, bool present) noexcept;
// From the section .user, which user mode may execute, read and write, and any other page.
void open_to_user_mode(std::uintptr_t address) noexcept;

}  // namespace nmircu::baremetal
