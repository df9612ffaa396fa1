// SPDX-License-Identifier: MIT
//
// What a module must be, read from its file; see module_file.hpp.
#include <nmi/symbols/module_file.hpp>

#include <cerrno>
#include <cstring>
#include <optional>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nmircu/module.h>
#include <agent/file_trust.hpp>
#include <nmi/symbols/elf_file.hpp>

namespace nmircu::command {
namespace {

// Where the exported symbol nmi_module lies; nothing if there is none.
std::optional<std::uint64_t> address_of_table(const elf_file& file) {
    for (const elf_file::section& section : file.sections()) {
        if (section.header.sh_type != SHT_DYNSYM || section.header.sh_entsize == 0) continue;
        Elf_Data* data = elf_getdata(section.handle, nullptr);
        const std::uint64_t count = section.header.sh_size / section.header.sh_entsize;
        for (std::uint64_t i = 0; data && i < count; ++i) {
            GElf_Sym symbol;
            if (gelf_getsym(data, static_cast<int>(i), &symbol) == nullptr) break;
            const char* name = elf_strptr(file.handle(), section.header.sh_link, symbol.st_name);
            if (name && std::strcmp(name, "nmi_module") == 0 && symbol.st_shndx != SHN_UNDEF) {
                return symbol.st_value;
            }
        }
    }
    return std::nullopt;
}

// The table's first word, its ABI version; nothing if the file does not hold it.
std::optional<std::uint32_t> abi_at(const elf_file& file, std::uint64_t address) {
    for (const elf_segment& segment : file.segments()) {
        if (address < segment.address || address - segment.address >= segment.file_bytes) continue;
        Elf_Data* data = elf_getdata_rawchunk(
            file.handle(),
            static_cast<std::int64_t>(segment.file_offset + address - segment.address),
            sizeof(std::uint32_t), ELF_T_WORD);
        if (data == nullptr || data->d_size != sizeof(std::uint32_t)) return std::nullopt;
        std::uint32_t abi;
        std::memcpy(&abi, data->d_buf, sizeof abi);
        return abi;
    }
    return std::nullopt;
}

}  // namespace

std::string wrong_with_module_file(const std::string& path) {
    unique_fd opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!opened) return fmt::format("cannot be read ({}); try another file", std::strerror(errno));
    if (const std::string wrong = agent::wrong_with_access(opened.get()); !wrong.empty())
        return wrong + "; try chmod go-w, or a copy in a folder of yours";
    const std::unique_ptr<elf_file> file = elf_file::open(std::move(opened));
    if (!file) return "is not an ELF file; try a module's .so";
    if (file->header().e_type != ET_DYN)
        return "is not a shared object; try to link it with -shared";
    const std::unique_ptr<elf_file> self = elf_file::open("/proc/self/exe");
    if (self && (file->header().e_machine != self->header().e_machine ||
                 file->elf_class() != self->elf_class())) {
        return "is built for another kind of machine; try to build it for this one";
    }
    const std::optional<std::uint64_t> table = address_of_table(*file);
    if (!table)
        return "is not a module: it exports no nmi_module; try one made as nmircu/module.h says";
    const std::optional<std::uint32_t> abi = abi_at(*file, *table);
    if (abi != NMI_MODULE_ABI) {
        return fmt::format(
            "is built for ABI version {} of nmircu/module.h and this is version {}; try to rebuild "
            "it",
            abi ? std::to_string(*abi) : "?", NMI_MODULE_ABI);
    }
    return {};
}

}  // namespace nmircu::command
