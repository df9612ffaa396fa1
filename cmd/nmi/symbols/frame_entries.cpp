// SPDX-License-Identifier: MIT
//
// .eh_frame and .debug_frame into entries; see frame_entries.hpp.
#include <nmi/symbols/frame_entries.hpp>

#include <algorithm>
#include <map>

#include <dwarf.h>
#include <elfutils/libdw.h>

#include <nmi/symbols/byte_cursor.hpp>

namespace nmircu::command {
namespace {

constexpr unsigned format_mask = 0x0f;
constexpr unsigned relation_mask = 0x70;
constexpr std::uint64_t most_section_bytes = 512ull << 20;
// Of one function; real ones have at most some kilobytes.
constexpr std::size_t most_program_bytes = 1 << 20;

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

// Augmentation letters: what the CIE says beyond the standard.
void read_augmentation(const Dwarf_CIE& cie, bool is_64, frame_common& common) {
    common.address_encoding = DW_EH_PE_absptr;
    const char* letter = cie.augmentation;
    if (letter == nullptr || *letter != 'z') {
        if (letter != nullptr && *letter != '\0') common.address_encoding = DW_EH_PE_omit;
        return;
    }
    common.is_sized = true;
    if (cie.augmentation_data == nullptr) return;
    byte_cursor data({cie.augmentation_data, cie.augmentation_data_size});
    for (++letter; *letter != '\0' && data.good(); ++letter) {
        switch (*letter) {
            case 'R':
                common.address_encoding = data.byte();
                break;
            case 'L':
                data.byte();
                break;
            case 'P': {
                const unsigned size = encoded_bytes(data.byte(), is_64);
                if (size == 0) common.address_encoding = DW_EH_PE_omit;
                data.bytes(size);
                break;
            }
            case 'S':
                common.signal_frame = true;
                break;
            case 'B':  // AArch64: return addresses are signed with the other key
                break;
            default:
                common.address_encoding = DW_EH_PE_omit;
                return;
        }
    }
}

std::span<const std::uint8_t> between(const std::uint8_t* begin, const std::uint8_t* end) {
    if (begin == nullptr || end <= begin) return {};
    const auto size = static_cast<std::size_t>(end - begin);
    return size <= most_program_bytes ? std::span(begin, size) : std::span<const std::uint8_t>{};
}

frame_common common_of(const Dwarf_CIE& cie, bool is_64) {
    frame_common common;
    common.program = between(cie.initial_instructions, cie.initial_instructions_end);
    common.code_alignment = cie.code_alignment_factor;
    common.data_alignment = cie.data_alignment_factor;
    common.return_column = static_cast<unsigned>(cie.return_address_register);
    read_augmentation(cie, is_64, common);
    return common;
}

struct frame_section {
    Elf_Data* data = nullptr;
    std::uint64_t address = 0;
    bool is_eh_frame = true;
    [[nodiscard]] const std::uint8_t* bytes() const {
        return static_cast<const std::uint8_t*>(data->d_buf);
    }
};

// Empty (begin == end) if the entry cannot be read.
frame_entry entry_of(const Dwarf_FDE& fde, std::uint32_t index, const frame_common& common,
                     const frame_section& section, bool is_64) {
    frame_entry entry{0, 0, index, {}};
    const unsigned encoding = common.address_encoding;
    const unsigned size = encoded_bytes(encoding, is_64);
    const std::span<const std::uint8_t> bytes = between(fde.start, fde.end);
    if (encoding == DW_EH_PE_omit || size == 0) return entry;
    byte_cursor cursor(bytes);
    const bool is_signed = (encoding & 8) != 0;
    std::uint64_t begin =
        is_signed ? static_cast<std::uint64_t>(cursor.fixed_signed(size)) : cursor.fixed(size);
    const unsigned relation = encoding & relation_mask;
    if (relation == DW_EH_PE_pcrel) {
        begin += section.address + static_cast<std::uint64_t>(fde.start - section.bytes());
    } else if (relation != DW_EH_PE_absptr) {
        return entry;
    }
    const std::uint64_t length = cursor.fixed(size);
    if (common.is_sized) cursor.bytes(cursor.uleb());
    if (!cursor.good() || begin + length < begin) return entry;
    entry.begin = begin;
    entry.end = begin + length;
    entry.program = {cursor.at(), cursor.left()};
    return entry;
}

void read_section(const elf_file& file, const frame_section& section, frame_entries& found) {
    const auto* ident = file.header().e_ident;
    const bool is_64 = file.elf_class() == ELFCLASS64;
    std::map<Dwarf_Off, std::uint32_t> common;  // index by place in the section
    Dwarf_Off next = 0;
    for (Dwarf_Off at = 0; at < section.data->d_size; at = next) {
        Dwarf_CFI_Entry entry;
        const int result =
            dwarf_next_cfi(ident, section.data, section.is_eh_frame, at, &next, &entry);
        if (result > 0 || next <= at) break;
        if (result < 0) continue;
        if (dwarf_cfi_cie_p(&entry)) {
            common[at] = static_cast<std::uint32_t>(found.common.size());
            found.common.push_back(common_of(entry.cie, is_64));
            continue;
        }
        const auto cie = common.find(entry.fde.CIE_pointer);
        if (cie == common.end()) continue;
        const frame_entry one =
            entry_of(entry.fde, cie->second, found.common[cie->second], section, is_64);
        if (one.begin < one.end) found.entries.push_back(one);
    }
}

frame_section find_section(const elf_file& file, const char* name) {
    for (const elf_file::section& section : file.sections()) {
        const GElf_Shdr& header = section.header;
        if (section.name != name || header.sh_type == SHT_NOBITS ||
            header.sh_size > most_section_bytes) {
            continue;
        }
        Elf_Data* data = nullptr;
        if (decompress(section, most_section_bytes)) data = elf_rawdata(section.handle, nullptr);
        if (data != nullptr && data->d_buf != nullptr) return {data, header.sh_addr, true};
    }
    return {};
}

// Of a file without sections, a copy of memory: by the program header of the search table, which
// begins with version 1, the encodings of three things, and where .eh_frame is. That one ends with
// itself.
frame_section find_by_program_header(const elf_file& file, Elf_Data& room) {
    for (const GElf_Phdr& header : file.program_headers()) {
        if (header.p_type != PT_GNU_EH_FRAME) continue;
        const std::span<const char> table = file.bytes_at(header.p_vaddr, 8);
        byte_cursor in({reinterpret_cast<const std::uint8_t*>(table.data()), table.size()});
        if (in.byte() != 1 || in.byte() != (DW_EH_PE_pcrel | DW_EH_PE_sdata4)) return {};
        in.fixed(2);
        const std::uint64_t address =
            header.p_vaddr + 4 + static_cast<std::uint64_t>(in.fixed_signed(4));
        const std::span<const char> bytes = file.bytes_at(address, most_section_bytes);
        if (!in.good() || bytes.empty()) return {};
        room = {};
        room.d_buf = const_cast<char*>(bytes.data());
        room.d_size = bytes.size();
        room.d_version = EV_CURRENT;
        return {&room, address, true};
    }
    return {};
}

}  // namespace

frame_entries read_frame_entries(const elf_file& file) {
    frame_entries found;
    if (file.header().e_ident[EI_DATA] != ELFDATA2LSB) return found;
    Elf_Data room;
    frame_section eh = find_section(file, ".eh_frame");
    if (eh.data == nullptr) eh = find_by_program_header(file, room);
    if (eh.data != nullptr) read_section(file, eh, found);
    frame_section debug = find_section(file, ".debug_frame");
    debug.is_eh_frame = false;
    debug.address = 0;
    if (debug.data != nullptr) read_section(file, debug, found);
    std::stable_sort(found.entries.begin(), found.entries.end(),
                     [](const frame_entry& a, const frame_entry& b) { return a.begin < b.begin; });
    return found;
}

}  // namespace nmircu::command
