// SPDX-License-Identifier: MIT
//
// Call instructions by their encoding; see call_site.hpp. x86-64: Intel SDM volume 2, CALL and
// "ModR/M and SIB bytes"; AArch64: Arm ARM, BL, BLR and BLRA.
#include <nmi/symbols/call_site.hpp>

#include <elf.h>

namespace nmircu::command {
namespace {

// Length of `FF /2` from its opcode on, given its ModR/M byte and the one after; 0 if not /2.
std::size_t indirect_call_bytes(std::uint8_t modrm, std::uint8_t sib) {
    const unsigned mode = modrm >> 6;
    const unsigned base = modrm & 7;
    if ((modrm >> 3 & 7) != 2) return 0;
    if (mode == 3) return 2;
    const bool has_sib = base == 4;
    const bool wide_base = mode == 0 && (has_sib ? (sib & 7) == 5 : base == 5);
    const std::size_t displacement = mode == 1 ? 1 : mode == 2 || wide_base ? 4 : 0;
    return 2 + (has_sib ? 1 : 0) + displacement;
}

bool ends_with_x86_call(std::span<const std::uint8_t> before) {
    const std::size_t size = before.size();
    if (size >= 5 && before[size - 5] == 0xe8) return true;
    for (std::size_t length = 2; length <= 7 && length <= size; ++length) {
        const std::uint8_t* at = before.data() + (size - length);
        if (at[0] != 0xff) continue;
        if (indirect_call_bytes(at[1], length > 2 ? at[2] : 0) == length) return true;
    }
    return false;
}

bool ends_with_aarch64_call(std::span<const std::uint8_t> before) {
    if (before.size() < 4) return false;
    const std::uint8_t* at = before.data() + before.size() - 4;
    const std::uint32_t word = at[0] | at[1] << 8 | at[2] << 16 | std::uint32_t{at[3]} << 24;
    const bool direct = (word & 0xfc000000) == 0x94000000;
    const bool indirect = (word & 0xfffffc1f) == 0xd63f0000;
    const bool authenticated = (word & 0xfefff800) == 0xd63f0800;
    return direct || indirect || authenticated;
}

}  // namespace

bool ends_with_call(unsigned machine, std::span<const std::uint8_t> before) {
    switch (machine) {
        case EM_X86_64:
            return ends_with_x86_call(before);
        case EM_AARCH64:
            return ends_with_aarch64_call(before);
        default:
            return true;
    }
}

}  // namespace nmircu::command
