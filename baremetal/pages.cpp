// SPDX-License-Identifier: MIT
#include "baremetal/pages.hpp"

#include "platform/baremetal/instructions.hpp"

extern "C" std::uint64_t pml4[512], pdpt[512], page_directories[4 * 512], first_pages[512];
extern "C" unsigned char user_begin[], user_end[];

namespace nmircu::baremetal {

namespace {

constexpr std::uint64_t present_bit = 1 << 0, user_bit = 1 << 2;
constexpr std::uintptr_t page_bytes = 4096;

std::uint64_t& entry_of(std::uintptr_t address) noexcept {
    return first_pages[address / page_bytes];
}

void flush(std::uintptr_t address) noexcept {
    invlpg(reinterpret_cast<const void*>(address));
}

}  // namespace

void set_present(std::uintptr_t address, bool present) noexcept {
    std::uint64_t& entry = entry_of(address);
    entry = present ? entry | present_bit : entry & ~present_bit;
    flush(address);
}

void open_to_user_mode(std::uintptr_t address) noexcept {
    // The upper levels leave it to the lowest.
    pml4[0] |= user_bit;
    pdpt[0] |= user_bit;
    page_directories[0] |= user_bit;
    entry_of(address) |= user_bit;
    flush(address);
}

void start_pages() noexcept {
    set_present(0, false);
    set_present(absent_page, false);
    for (auto at = reinterpret_cast<std::uintptr_t>(user_begin);
         at < reinterpret_cast<std::uintptr_t>(user_end); at += page_bytes) {
        open_to_user_mode(at);
    }
}

}  // namespace nmircu::baremetal
