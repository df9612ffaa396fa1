// SPDX-License-Identifier: MIT
//
// From mappings to files; see mapped_file.hpp.
#include <nmi/symbols/mapped_file.hpp>

#include <cstring>

#include <fcntl.h>
#include <sys/auxv.h>

namespace nmircu::command {
namespace {

std::unique_ptr<elf_file> open_vdso() {
    auto* image = reinterpret_cast<char*>(getauxval(AT_SYSINFO_EHDR));
    if (image == nullptr) return nullptr;
    GElf_Ehdr header;
    std::memcpy(&header, image, sizeof header);
    const std::size_t size = header.e_shoff + std::size_t{header.e_shnum} * header.e_shentsize;
    return elf_file::in_memory({image, size});
}

}  // namespace

std::unique_ptr<elf_file> open_mapped(const mapped_object& object) {
    if (object.path == "[vdso]") return open_vdso();
    if (!object.file) return nullptr;
    return elf_file::open(unique_fd(fcntl(object.file.get(), F_DUPFD_CLOEXEC, 0)));
}

std::optional<std::uint64_t> code_address(const std::vector<elf_segment>& segments,
                                          std::uint64_t file_offset) {
    for (const elf_segment& segment : segments) {
        if (segment.executable && file_offset >= segment.file_offset &&
            file_offset - segment.file_offset < segment.file_bytes) {
            return file_offset - segment.file_offset + segment.address;
        }
    }
    return std::nullopt;
}

}  // namespace nmircu::command
