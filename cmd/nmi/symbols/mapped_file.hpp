// SPDX-License-Identifier: MIT
//
// The ELF file behind an object that a program has mapped, and places in it as addresses of the
// file. Thread context.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <nmi/profile/memory_map.hpp>
#include <nmi/symbols/elf_file.hpp>

namespace nmircu::command {

// Null if it cannot be read, or is no ELF file. The vdso is the same in every process, so ours
// stands in for the program's.
std::unique_ptr<elf_file> open_mapped(const mapped_object& object);

// The address that the file gives to the code at `file_offset`; nothing if there is none.
std::optional<std::uint64_t> code_address(const std::vector<elf_segment>& segments,
                                          std::uint64_t file_offset);

}  // namespace nmircu::command
