// SPDX-License-Identifier: MIT
//
// Where functions begin and end according to .eh_frame, which even stripped objects keep. libdw
// finds the entries; the two addresses in each are decoded here, because libdw only tells the
// bounds of one row of unwinding rules. Encodings: LSB, "DWARF Exception Header Encoding".
#include <nmi/symbols/symbol_table.hpp>

#include <algorithm>
#include <cstring>
#include <map>

#include <dwarf.h>
#include <elfutils/libdw.h>

namespace nmircu::command {
namespace {

constexpr unsigned format_mask = 0x0f;
constexpr unsigned relation_mask = 0x70;

unsigned encoded_bytes(unsigned encoding, bool is_64) {
    switch (encoding & format_mask) {
        case DW_EH_PE_absptr:
            return is_64 ? 8 : 4;
        case DW_EH_PE_udata2:
        case DW_EH_PE_sdata2:
            return 2;
        case DW_EH_PE_udata4:
        case DW_EH_PE_sdata4:
            return 4;
        case DW_EH_PE_udata8:
        case DW_EH_PE_sdata8:
            return 8;
        default:
            return 0;  // LEB128 is not used for these two addresses
    }
}

std::uint64_t read_little_endian(const std::uint8_t* bytes, unsigned count, bool is_signed) {
    std::uint64_t value = 0;
    for (unsigned i = count; i-- > 0;)
        value = value << 8 | bytes[i];
    if (is_signed && count < 8 && (value >> (8 * count - 1) & 1) != 0) value |= ~0ull << 8 * count;
    return value;
}

// The encoding of an FDE's addresses, from the `R` of its CIE's augmentation; the default is plain.
unsigned address_encoding(const Dwarf_CIE& cie) {
    const char* letter = cie.augmentation;
    if (letter == nullptr || *letter != 'z') return DW_EH_PE_absptr;
    const std::uint8_t* data = cie.augmentation_data;
    if (data == nullptr) return DW_EH_PE_omit;
    const std::uint8_t* end = data + cie.augmentation_data_size;
    for (++letter; *letter != '\0' && data < end; ++letter) {
        switch (*letter) {
            case 'R':
                return *data;
            case 'L':
                ++data;
                break;
            case 'P': {
                const unsigned size = encoded_bytes(*data, true);
                if (size == 0) return DW_EH_PE_omit;
                data += 1 + size;
                break;
            }
            case 'S':
            case 'B':
                break;
            default:
                return DW_EH_PE_omit;
        }
    }
    return DW_EH_PE_absptr;
}

struct eh_frame {
    const std::uint8_t* bytes = nullptr;
    std::uint64_t size = 0;
    std::uint64_t address = 0;
    Elf_Data* data = nullptr;
};

eh_frame find_eh_frame(const elf_file& file) {
    for (const elf_file::section& section : file.sections()) {
        if (section.name != ".eh_frame" || section.header.sh_type == SHT_NOBITS) continue;
        Elf_Data* data = elf_rawdata(section.handle, nullptr);
        if (data == nullptr || data->d_buf == nullptr) break;
        return {static_cast<const std::uint8_t*>(data->d_buf), data->d_size, section.header.sh_addr,
                data};
    }
    return {};
}

// The bounds in one FDE; begin == end if they cannot be told.
function_bounds bounds_in(const Dwarf_FDE& fde, unsigned encoding, const eh_frame& section,
                          bool is_64) {
    const unsigned size = encoded_bytes(encoding, is_64);
    const auto left = static_cast<std::uint64_t>(fde.end - fde.start);
    if (encoding == DW_EH_PE_omit || size == 0 || left < 2 * size) return {0, 0};
    const bool is_signed = (encoding & 8) != 0;
    std::uint64_t begin = read_little_endian(fde.start, size, is_signed);
    const unsigned relation = encoding & relation_mask;
    if (relation == DW_EH_PE_pcrel) {
        begin += section.address + static_cast<std::uint64_t>(fde.start - section.bytes);
    } else if (relation != DW_EH_PE_absptr) {
        return {0, 0};
    }
    return {begin, begin + read_little_endian(fde.start + size, size, false)};
}

}  // namespace

std::vector<function_bounds> frame_bounds(const elf_file& file) {
    const eh_frame section = find_eh_frame(file);
    if (section.data == nullptr || file.header().e_ident[EI_DATA] != ELFDATA2LSB) return {};
    const auto* ident = file.header().e_ident;
    const bool is_64 = file.elf_class() == ELFCLASS64;

    std::map<Dwarf_Off, unsigned> encodings;  // by CIE
    std::vector<function_bounds> found;
    Dwarf_Off next = 0;
    for (Dwarf_Off at = 0; at < section.size; at = next) {
        Dwarf_CFI_Entry entry;
        const int result = dwarf_next_cfi(ident, section.data, true, at, &next, &entry);
        if (result > 0 || (result < 0 && next <= at) || next == at) break;
        if (result < 0) continue;
        if (dwarf_cfi_cie_p(&entry)) {
            encodings[at] = address_encoding(entry.cie);
            continue;
        }
        const auto cie = encodings.find(entry.fde.CIE_pointer);
        if (cie == encodings.end()) continue;
        const function_bounds bounds = bounds_in(entry.fde, cie->second, section, is_64);
        if (bounds.begin < bounds.end) found.push_back(bounds);
    }
    std::sort(found.begin(), found.end());
    return found;
}

}  // namespace nmircu::command
