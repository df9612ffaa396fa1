// SPDX-License-Identifier: MIT
//
// ELF files through libelf; see elf_file.hpp.
#include <nmi/symbols/elf_file.hpp>

#include <algorithm>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace nmircu::command {

std::unique_ptr<elf_file> elf_file::adopt(unique_fd file, Elf* elf) {
    if (elf == nullptr) return nullptr;
    std::unique_ptr<elf_file> opened(new elf_file(std::move(file), elf));
    if (elf_kind(elf) != ELF_K_ELF || gelf_getehdr(elf, &opened->header_) == nullptr)
        return nullptr;
    return opened;
}

std::unique_ptr<elf_file> elf_file::open(const std::string& path) {
    return open(unique_fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)));
}

std::unique_ptr<elf_file> elf_file::open(unique_fd file) {
    if (!file) return nullptr;
    elf_version(EV_CURRENT);
    Elf* elf = elf_begin(file.get(), ELF_C_READ, nullptr);  // not MMAP: the file may shrink
    return adopt(std::move(file), elf);
}

std::unique_ptr<elf_file> elf_file::in_memory(std::span<char> image) {
    elf_version(EV_CURRENT);
    return adopt({}, elf_memory(image.data(), image.size()));
}

elf_file::~elf_file() {
    elf_end(elf_);
}

bool elf_file::is_trusted() const {
    struct stat found;
    return file_ && fstat(file_.get(), &found) == 0 &&
           (found.st_uid == 0 || found.st_uid == geteuid()) && (found.st_mode & S_IWOTH) == 0;
}

std::vector<GElf_Phdr> elf_file::program_headers() const {
    std::size_t count = 0;
    if (elf_getphdrnum(elf_, &count) != 0) return {};
    std::vector<GElf_Phdr> headers;
    for (std::size_t i = 0; i < count; ++i) {
        GElf_Phdr header;
        if (gelf_getphdr(elf_, static_cast<int>(i), &header)) headers.push_back(header);
    }
    return headers;
}

std::span<const char> elf_file::bytes(std::uint64_t offset, std::uint64_t size) const {
    Elf_Data* data =
        elf_getdata_rawchunk(elf_, static_cast<std::int64_t>(offset), size, ELF_T_BYTE);
    if (data == nullptr || data->d_buf == nullptr) return {};
    return {static_cast<const char*>(data->d_buf), data->d_size};
}

std::span<const char> elf_file::bytes_at(std::uint64_t address, std::uint64_t most) const {
    for (const elf_segment& segment : segments()) {
        const std::uint64_t at = address - segment.address;
        if (address < segment.address || at >= segment.file_bytes) continue;
        return bytes(segment.file_offset + at, std::min(most, segment.file_bytes - at));
    }
    return {};
}

std::vector<elf_segment> elf_file::segments() const {
    std::vector<elf_segment> found;
    for (const GElf_Phdr& header : program_headers()) {
        if (header.p_type != PT_LOAD) continue;
        found.push_back(
            {header.p_offset, header.p_vaddr, header.p_filesz, (header.p_flags & PF_X) != 0});
    }
    return found;
}

std::string elf_file::interpreter() const {
    for (const GElf_Phdr& header : program_headers()) {
        if (header.p_type != PT_INTERP) continue;
        const std::span<const char> text = bytes(header.p_offset, header.p_filesz);
        return {text.begin(), std::find(text.begin(), text.end(), '\0')};
    }
    return {};
}

std::string elf_file::build_id() const {
    for (const GElf_Phdr& header : program_headers()) {
        if (header.p_type != PT_NOTE) continue;
        Elf_Data* data =
            elf_getdata_rawchunk(elf_, static_cast<std::int64_t>(header.p_offset), header.p_filesz,
                                 header.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
        GElf_Nhdr note;
        std::size_t name = 0;
        std::size_t text = 0;
        for (std::size_t at = 0; data && (at = gelf_getnote(data, at, &note, &name, &text)) > 0;) {
            const char* base = static_cast<const char*>(data->d_buf);
            if (note.n_type != NT_GNU_BUILD_ID || note.n_namesz != 4 ||
                std::memcmp(base + name, "GNU", 4) != 0) {
                continue;
            }
            std::string id;
            for (std::size_t i = 0; i < note.n_descsz; ++i) {
                id += fmt::format("{:02x}", static_cast<unsigned char>(base[text + i]));
            }
            return id;
        }
    }
    return {};
}

std::vector<elf_file::section> elf_file::sections() const {
    std::size_t names = 0;
    if (elf_getshdrstrndx(elf_, &names) != 0) return {};
    std::vector<section> found;
    for (Elf_Scn* at = nullptr; (at = elf_nextscn(elf_, at)) != nullptr;) {
        section one{at, {}, {}};
        if (gelf_getshdr(at, &one.header) == nullptr) continue;
        if (const char* name = elf_strptr(elf_, names, one.header.sh_name)) one.name = name;
        found.push_back(std::move(one));
    }
    return found;
}

bool decompress(const elf_file::section& section, std::uint64_t most_bytes) {
    if ((section.header.sh_flags & SHF_COMPRESSED) == 0) return true;
    GElf_Chdr header;
    return gelf_getchdr(section.handle, &header) != nullptr && header.ch_size <= most_bytes &&
           elf_compress(section.handle, 0, 0) > 0;
}

}  // namespace nmircu::command
