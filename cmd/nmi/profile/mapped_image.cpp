// SPDX-License-Identifier: MIT
//
// By path, by the kernel's links, by build-id, out of memory; see mapped_image.hpp.
#include <nmi/profile/mapped_image.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <fmt/format.h>
#include <nmi/profile/memory_map.hpp>
#include <nmi/symbols/elf_file.hpp>

namespace nmircu::command {
namespace {

constexpr std::uint64_t most_image_bytes = 256 << 20;
constexpr std::uint64_t most_image_end = 1ull << 40;  // the copy is sparse

unique_fd open_file(const std::string& path) {
    unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat found;
    if (file && fstat(file.get(), &found) == 0 && S_ISREG(found.st_mode)) return file;
    return {};
}

// Devices are not compared: layered file systems show another one in maps than in stat.
bool has_inode(const unique_fd& file, std::uint64_t inode) {
    struct stat found;
    return file && fstat(file.get(), &found) == 0 && found.st_ino == inode;
}

// What is at the file's path now, as the program sees it and as we see it.
std::array<std::string, 2> paths_of(int pid, const mapping& line) {
    return {fmt::format("/proc/{}/root{}", pid, line.path), line.path};
}

// The very file. A path leads to it only if nobody has deleted it: inode numbers are used again.
unique_fd open_itself(int pid, const mapping& line) {
    if (!line.deleted) {
        for (const std::string& path : paths_of(pid, line)) {
            unique_fd file = open_file(path);
            if (has_inode(file, line.inode)) return file;
        }
    }
    // These two do not go by name; the first one is for root only.
    for (const std::string& link :
         {fmt::format("/proc/{}/map_files/{:x}-{:x}", pid, line.begin, line.end),
          fmt::format("/proc/{}/exe", pid)}) {
        unique_fd file = open_file(link);
        if (has_inode(file, line.inode)) return file;
    }
    return {};
}

// Appends the bytes of a mapping to the copy, at their place in the file.
bool copy_mapping(int pid, const mapping& line, const unique_fd& copy) {
    std::vector<std::byte> buffer(1 << 20);
    for (std::uint64_t at = line.begin; at < line.end;) {
        const std::size_t bytes = std::min<std::uint64_t>(buffer.size(), line.end - at);
        iovec local{buffer.data(), bytes};
        iovec remote{reinterpret_cast<void*>(at), bytes};
        const ssize_t read = process_vm_readv(pid, &local, 1, &remote, 1, 0);
        if (read <= 0) return false;
        const auto offset = static_cast<off_t>(line.file_offset + (at - line.begin));
        if (pwrite(copy.get(), buffer.data(), static_cast<std::size_t>(read), offset) != read)
            return false;
        at += static_cast<std::uint64_t>(read);
    }
    return true;
}

template <class Value>
bool read_at(const unique_fd& file, std::uint64_t at, Value& value) {
    return pread(file.get(), &value, sizeof value, static_cast<off_t>(at)) == sizeof value;
}
template <class Value>
bool write_at(const unique_fd& file, std::uint64_t at, const Value& value) {
    return pwrite(file.get(), &value, sizeof value, static_cast<off_t>(at)) == sizeof value;
}

// The loader has made addresses in memory out of addresses of the file.
void restore_dynamic(const unique_fd& copy, const Elf64_Phdr& dynamic, std::uint64_t bias) {
    for (std::uint64_t at = 0; at + sizeof(Elf64_Dyn) <= std::min(dynamic.p_filesz, 65536ul);
         at += sizeof(Elf64_Dyn)) {
        Elf64_Dyn entry;
        if (!read_at(copy, dynamic.p_offset + at, entry) || entry.d_tag == DT_NULL) return;
        if ((entry.d_tag != DT_SYMTAB && entry.d_tag != DT_STRTAB) || entry.d_un.d_ptr < bias)
            continue;
        entry.d_un.d_ptr -= bias;
        write_at(copy, dynamic.p_offset + at, entry);
    }
}

// Makes a file out of memory. Sections are not mapped: it must not seem to have any. `begin`: where
// the first byte is in memory.
bool repair(const unique_fd& copy, std::uint64_t begin) {
    Elf64_Ehdr header;
    if (!read_at(copy, 0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
        header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(Elf64_Phdr)) {
        return false;
    }
    header.e_shoff = 0;
    header.e_shnum = 0;
    header.e_shstrndx = 0;
    if (!write_at(copy, 0, header)) return false;
    std::uint64_t bias = 0;
    for (unsigned i = 0; i < header.e_phnum; ++i) {
        Elf64_Phdr segment;
        if (!read_at(copy, header.e_phoff + i * sizeof segment, segment)) return false;
        if (segment.p_type == PT_LOAD && segment.p_offset == 0) bias = begin - segment.p_vaddr;
        if (segment.p_type == PT_DYNAMIC) restore_dynamic(copy, segment, bias);
    }
    return true;
}

// What of the file is in the program's memory.
unique_fd copy_from_memory(int pid, const mapping& wanted, const std::vector<mapping>& all) {
    unique_fd copy(memfd_create("nmi-image", MFD_CLOEXEC));
    std::uint64_t left = most_image_bytes;
    std::uint64_t begin = 0;
    for (const mapping& line : all) {
        if (!copy || line.inode != wanted.inode || line.device != wanted.device ||
            line.path != wanted.path || !line.readable) {
            continue;
        }
        if (line.file_offset == 0 && begin == 0) begin = line.begin;
        const std::uint64_t bytes = line.end - line.begin;
        if (bytes > left || line.file_offset > most_image_end) return {};
        left -= bytes;
        if (!copy_mapping(pid, line, copy)) return {};
    }
    if (!copy || !repair(copy, begin)) return {};
    return copy;
}

std::string build_id_of(const unique_fd& file) {
    const auto elf = elf_file::open(unique_fd(fcntl(file.get(), F_DUPFD_CLOEXEC, 0)));
    return elf ? elf->build_id() : std::string();
}

}  // namespace

opened_image open_image(int pid, const mapping& line, const std::vector<mapping>& all) {
    if (unique_fd file = open_itself(pid, line)) return {std::move(file)};
    opened_image found{copy_from_memory(pid, line, all)};
    const std::string wanted = found.file ? build_id_of(found.file) : std::string();
    for (const std::string& path : paths_of(pid, line)) {
        unique_fd other = open_file(path);
        if (!other) continue;
        if (!wanted.empty() && build_id_of(other) == wanted) return {std::move(other)};
        found.replaced = true;
    }
    return found;
}

}  // namespace nmircu::command
