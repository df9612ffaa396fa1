// SPDX-License-Identifier: MIT
//
// Through /proc/PID/maps to the file, and through libelf to its symbols; see loaded_object.hpp.
#include <nmi/attach/loaded_object.hpp>

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <nmi/file_text.hpp>
#include <nmi/profile/memory_map.hpp>

namespace nmircu::command {
namespace {

bool is_named(const std::string& path, std::span<const char* const> names) {
    const std::string_view name = std::string_view(path).substr(path.find_last_of('/') + 1);
    return std::any_of(names.begin(), names.end(),
                       [&](const char* one) { return name.starts_with(one); });
}

std::vector<mapping> maps_of(int pid) {
    return parse_maps(text_of_file(fmt::format("/proc/{}/maps", pid)));
}

// The very file that is mapped, also if another one is at its path by now.
unique_fd open_mapped(const process_facts& facts, const mapping& line) {
    for (const std::string& path :
         {facts.root + line.path,
          fmt::format("/proc/{}/map_files/{:x}-{:x}", facts.pid, line.begin, line.end)}) {
        unique_fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
        struct stat found;
        if (file && fstat(file.get(), &found) == 0 && found.st_ino == line.inode) return file;
    }
    return {};
}

}  // namespace

bool loaded_object::is_mapped(int pid, std::span<const char* const> names) {
    const std::vector<mapping> lines = maps_of(pid);
    return std::any_of(lines.begin(), lines.end(),
                       [&](const mapping& line) { return is_named(line.path, names); });
}

std::unique_ptr<loaded_object> loaded_object::find(const process_facts& facts,
                                                   std::span<const char* const> names) {
    for (const mapping& line : maps_of(facts.pid)) {
        if (!is_named(line.path, names)) continue;
        std::unique_ptr<elf_file> file = elf_file::open(open_mapped(facts, line));
        if (file == nullptr) return nullptr;
        for (const elf_segment& segment : file->segments()) {
            const std::uint64_t at = segment.file_offset & ~std::uint64_t{4095};
            if (!segment.executable || at != line.file_offset) continue;
            const std::uint64_t address = segment.address & ~std::uint64_t{4095};
            return std::unique_ptr<loaded_object>(
                new loaded_object(std::move(file), line.begin - address));
        }
    }
    return nullptr;
}

std::uint64_t loaded_object::symbol(const char* name) const {
    for (const elf_file::section& section : file_->sections()) {
        if (section.header.sh_type != SHT_DYNSYM || section.header.sh_entsize == 0) continue;
        Elf_Data* const data = elf_getdata(section.handle, nullptr);
        if (data == nullptr) return 0;
        const auto count = static_cast<int>(section.header.sh_size / section.header.sh_entsize);
        for (int i = 0; i < count; ++i) {
            GElf_Sym found;
            if (gelf_getsym(data, i, &found) == nullptr || found.st_shndx == SHN_UNDEF) continue;
            const char* text = elf_strptr(file_->handle(), section.header.sh_link, found.st_name);
            if (text != nullptr && std::strcmp(text, name) == 0) return bias_ + found.st_value;
        }
    }
    return 0;
}

std::uint64_t loaded_object::code(std::span<const unsigned char> bytes) const {
    for (const elf_segment& segment : file_->segments()) {
        if (!segment.executable) continue;
        Elf_Data* const data =
            elf_getdata_rawchunk(file_->handle(), static_cast<std::int64_t>(segment.file_offset),
                                 segment.file_bytes, ELF_T_BYTE);
        if (data == nullptr || data->d_buf == nullptr) continue;
        const auto* begin = static_cast<const unsigned char*>(data->d_buf);
        const auto* end = begin + data->d_size;
        const auto* at = std::search(begin, end, bytes.begin(), bytes.end());
        if (at != end) return bias_ + segment.address + static_cast<std::uint64_t>(at - begin);
    }
    return 0;
}

}  // namespace nmircu::command
