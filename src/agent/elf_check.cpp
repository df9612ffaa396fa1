// SPDX-License-Identifier: MIT
//
// Reading just enough of an ELF file; see elf_check.hpp. Formats: System V ABI, chapters 4 and 5,
// as in <elf.h>. Everything is read with pread, so a file that shrinks meanwhile gives an error and
// not a bus error.
#include <agent/elf_check.hpp>

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <vector>

#include <nmircu/module.h>

#include <agent/file_trust.hpp>

// The linker's name for the header of the object this code is in: what this machine's files say.
extern "C" const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

namespace nmircu::agent {
namespace {

using header = ElfW(Ehdr);
using segment = ElfW(Phdr);
using section = ElfW(Shdr);
using symbol = ElfW(Sym);

constexpr std::uint64_t most_table_bytes = std::uint64_t{64} << 20;
constexpr const char* module_symbol = "nmi_module";

refusal invalid(const std::string& path, const std::string& what) {
    return {failure::module_invalid, path + " " + what,
            "give the shared object of a module; examples/count.c is the smallest"};
}

template <class Item>
bool read_items(int file, std::uint64_t offset, std::uint64_t count, std::vector<Item>& out) {
    if (count > most_table_bytes / sizeof(Item)) return false;
    out.resize(count);
    const std::size_t bytes = count * sizeof(Item);
    return pread(file, out.data(), bytes, static_cast<off_t>(offset)) ==
           static_cast<ssize_t>(bytes);
}

// The file's own idea of itself, all of it within the file.
struct elf_file {
    header head;
    std::vector<segment> segments;
    std::vector<section> sections;
    std::uint64_t bytes;
};

const char* wrong_with_header(const header& head) {
    if (std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0) return "is not an ELF file";
    const header& own = __ehdr_start;
    if (head.e_ident[EI_CLASS] != own.e_ident[EI_CLASS] ||
        head.e_ident[EI_DATA] != own.e_ident[EI_DATA] || head.e_machine != own.e_machine) {
        return "was built for another kind of machine";
    }
    if (head.e_type != ET_DYN) return "is not a shared object";
    if (head.e_phentsize != sizeof(segment) || head.e_phnum == 0 ||
        (head.e_shnum != 0 && head.e_shentsize != sizeof(section))) {
        return "is a damaged shared object";
    }
    return nullptr;
}

const char* read_elf(int file, elf_file& out) {
    struct stat about {};
    if (fstat(file, &about) != 0) return "cannot be read";
    out.bytes = static_cast<std::uint64_t>(about.st_size);
    if (pread(file, &out.head, sizeof out.head, 0) != static_cast<ssize_t>(sizeof out.head)) {
        return "is not an ELF file";
    }
    if (const char* wrong = wrong_with_header(out.head)) return wrong;
    if (!read_items(file, out.head.e_phoff, out.head.e_phnum, out.segments) ||
        !read_items(file, out.head.e_shoff, out.head.e_shnum, out.sections)) {
        return "is cut short";
    }
    for (const segment& s : out.segments) {
        if (s.p_filesz > out.bytes || s.p_offset > out.bytes - s.p_filesz) return "is cut short";
    }
    return nullptr;
}

// dlopen refuses programs, position-independent ones too, but says so in other words.
bool is_program(int file, const elf_file& elf) {
    for (const segment& s : elf.segments) {
        if (s.p_type != PT_DYNAMIC) continue;
        std::vector<ElfW(Dyn)> entries;
        if (!read_items(file, s.p_offset, s.p_filesz / sizeof(ElfW(Dyn)), entries)) return false;
        for (const auto& entry : entries) {
            if (entry.d_tag == DT_FLAGS_1 && (entry.d_un.d_val & DF_1_PIE) != 0) return true;
        }
    }
    return false;
}

bool is_named(const std::vector<char>& names, std::uint64_t at) {
    const std::size_t bytes = std::strlen(module_symbol) + 1;
    return at < names.size() && names.size() - at >= bytes &&
           std::memcmp(names.data() + at, module_symbol, bytes) == 0;
}

enum class search : std::uint8_t { found, absent, unknown };

// The exported definition of nmi_module. unknown: a file without section headers, which is legal,
// and for dlsym to search.
search find_symbol(int file, const elf_file& elf, symbol& out) {
    for (const section& s : elf.sections) {
        if (s.sh_type != SHT_DYNSYM) continue;
        if (s.sh_link >= elf.sections.size()) return search::absent;
        const section& strings = elf.sections[s.sh_link];
        std::vector<symbol> symbols;
        std::vector<char> names;
        if (!read_items(file, s.sh_offset, s.sh_size / sizeof(symbol), symbols) ||
            !read_items(file, strings.sh_offset, strings.sh_size, names)) {
            return search::absent;
        }
        for (const symbol& candidate : symbols) {
            if (candidate.st_shndx == SHN_UNDEF || !is_named(names, candidate.st_name)) continue;
            out = candidate;
            return search::found;
        }
        return search::absent;
    }
    return elf.sections.empty() ? search::unknown : search::absent;
}

// The words `abi` and `bytes` with which the struct begins, as they stand in the file.
bool read_abi(int file, const elf_file& elf, const symbol& module, std::uint32_t (&out)[2]) {
    for (const segment& s : elf.segments) {
        if (s.p_type != PT_LOAD || module.st_value < s.p_vaddr) continue;
        const std::uint64_t offset = module.st_value - s.p_vaddr;
        if (offset >= s.p_filesz || s.p_filesz - offset < sizeof out) continue;
        return pread(file, out, sizeof out, static_cast<off_t>(s.p_offset + offset)) ==
               static_cast<ssize_t>(sizeof out);
    }
    return false;
}

std::optional<refusal> wrong_with_owner(int file, const std::string& path) {
    struct stat about {};
    if (fstat(file, &about) != 0 || !S_ISREG(about.st_mode)) {
        return invalid(path, "is not a regular file");
    }
    if (about.st_uid != geteuid() && about.st_uid != 0) {
        return refusal{failure::module_invalid,
                       path + " belongs to user " + std::to_string(about.st_uid) +
                           ", who could change what runs in this program",
                       "copy it, so that it belongs to the program's user or to root"};
    }
    const std::string wrong = wrong_with_access(file);
    if (!wrong.empty()) {
        return refusal{failure::module_invalid, path + " " + wrong,
                       "chmod go-w what is writable, or copy it to a folder of yours"};
    }
    return std::nullopt;
}

}  // namespace

int open_module_file(const std::string& path, refusal& why) {
    if (path.empty() || path[0] != '/') {
        why = {failure::malformed,
               "the path of a module must be absolute, and '" + path + "' is not",
               "give the whole path"};
        return -1;
    }
    // Not blocking: a FIFO would wait for its writer.
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0) {
        const int error = errno;
        why = {failure::module_missing, "cannot open " + path + ": " + std::strerror(error),
               error == EACCES ? "it must be readable for the program's user"
                               : "the path is looked up by the program, in its file system"};
        return -1;
    }
    if (std::optional<refusal> wrong = wrong_with_owner(file, path)) {
        why = std::move(*wrong);
        close(file);
        return -1;
    }
    return file;
}

std::optional<refusal> check_module_file(int file, const std::string& path) {
    elf_file elf{};
    if (const char* wrong = read_elf(file, elf)) return invalid(path, wrong);
    if (is_program(file, elf)) return invalid(path, "is a program, not a shared object");
    symbol module{};
    switch (find_symbol(file, elf, module)) {
        case search::absent:
            return invalid(path, "is a shared object, but has no symbol nmi_module");
        case search::unknown:
            return std::nullopt;
        case search::found:
            break;
    }
    std::uint32_t abi[2];
    if (!read_abi(file, elf, module, abi)) {
        return invalid(path, "has a symbol nmi_module that is no initialised data");
    }
    return check_abi(abi[0], abi[1], path);
}

std::optional<refusal> check_abi(std::uint32_t abi, std::uint32_t bytes, const std::string& path) {
    const std::string hint = "build it against the nmircu/module.h of this version";
    if (abi != NMI_MODULE_ABI) {
        return refusal{failure::module_abi,
                       path + " was built for version " + std::to_string(abi) +
                           " of module.h, and this program has version " +
                           std::to_string(NMI_MODULE_ABI),
                       hint};
    }
    constexpr std::size_t least_bytes = offsetof(struct nmi_module, flags);
    if (bytes < least_bytes) {
        return refusal{failure::module_abi,
                       path + " says its nmi_module has " + std::to_string(bytes) +
                           " bytes, and version " + std::to_string(NMI_MODULE_ABI) + " has " +
                           std::to_string(least_bytes),
                       hint};
    }
    return std::nullopt;
}

}  // namespace nmircu::agent
