// SPDX-License-Identifier: MIT
//
// The entries of .eh_frame and .debug_frame, which say of each function where it begins and ends
// and how to unwind it; even stripped objects keep them. libdw cuts the sections into entries; the
// addresses in each are decoded here, because libdw only tells the bounds of one row of rules.
// Encodings: LSB, "DWARF Exception Header Encoding". Thread context.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <nmi/symbols/elf_file.hpp>

namespace nmircu::command {

// What many entries have in common (a CIE).
struct frame_common {
    std::span<const std::uint8_t> program;
    std::uint64_t code_alignment = 1;
    std::int64_t data_alignment = 1;
    unsigned return_column = 0;
    unsigned address_encoding = 0;
    bool is_sized = false;  // each entry begins with augmentation data of its own
    bool signal_frame = false;
};

// One function's entry (an FDE); addresses are those of the file.
struct frame_entry {
    std::uint64_t begin, end;
    std::uint32_t common;  // index into frame_entries::common
    std::span<const std::uint8_t> program;
};

// Spans point into the file's data: they live as long as the file is open.
struct frame_entries {
    std::vector<frame_common> common;
    std::vector<frame_entry> entries;  // by address
};

// What the file has, .eh_frame first; empty if it has neither or it is damaged.
frame_entries read_frame_entries(const elf_file& file);

}  // namespace nmircu::command
