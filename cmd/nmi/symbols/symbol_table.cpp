// SPDX-License-Identifier: MIT
//
// Functions by address; see symbol_table.hpp.
#include <nmi/symbols/symbol_table.hpp>

#include <algorithm>
#include <cstring>
#include <tuple>

namespace nmircu::command {
namespace {

bool is_function(const GElf_Sym& entry) {
    const int type = GELF_ST_TYPE(entry.st_info);
    return (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE) &&
           entry.st_shndx != SHN_UNDEF && entry.st_shndx < SHN_LORESERVE;
}

// Of several names for one function the public and plain one reads best.
unsigned rank_of(const GElf_Sym& entry, const std::string& name) {
    unsigned rank = 0;
    if (GELF_ST_TYPE(entry.st_info) == STT_NOTYPE) rank += 100;
    if (GELF_ST_BIND(entry.st_info) == STB_WEAK) rank += 10;
    if (GELF_ST_BIND(entry.st_info) == STB_LOCAL) rank += 20;
    const std::size_t underscores = std::min<std::size_t>(name.find_first_not_of('_'), 9);
    return name.starts_with("_Z") ? rank : rank + static_cast<unsigned>(underscores);
}

constexpr std::uint64_t most_table_bytes = 512ull << 20;

}  // namespace

symbol_table::symbol_table(const elf_file& file, const elf_file* debug)
    : bounds_(frame_bounds(file)) {
    read(file);
    if (debug != nullptr) read(*debug);
    sort();
}

void symbol_table::read(const elf_file& file) {
    const std::vector<elf_file::section> sections = file.sections();
    if (sections.empty()) return read_dynamic(file);
    for (const elf_file::section& section : sections) {
        const GElf_Shdr& header = section.header;
        if ((header.sh_type != SHT_SYMTAB && header.sh_type != SHT_DYNSYM) ||
            header.sh_entsize == 0 || header.sh_size > most_table_bytes) {
            continue;
        }
        Elf_Data* data = elf_getdata(section.handle, nullptr);
        const std::uint64_t count = header.sh_size / header.sh_entsize;
        for (std::uint64_t i = 1; data && i < count; ++i) {
            GElf_Sym entry;
            if (gelf_getsym(data, static_cast<int>(i), &entry) == nullptr) break;
            if (is_function(entry)) {
                add(entry, elf_strptr(file.handle(), header.sh_link, entry.st_name));
            }
        }
    }
}

// A copy of a program's memory has no sections, but what the dynamic loader needs.
void symbol_table::read_dynamic(const elf_file& file) {
    if (file.elf_class() != ELFCLASS64) return;
    std::uint64_t symbols = 0, strings = 0, string_bytes = 0;
    for (const GElf_Phdr& header : file.program_headers()) {
        if (header.p_type != PT_DYNAMIC || header.p_filesz > most_table_bytes) continue;
        const std::span<const char> dynamic = file.bytes(header.p_offset, header.p_filesz);
        for (std::size_t at = 0; at + sizeof(Elf64_Dyn) <= dynamic.size();
             at += sizeof(Elf64_Dyn)) {
            Elf64_Dyn entry;
            std::memcpy(&entry, dynamic.data() + at, sizeof entry);
            if (entry.d_tag == DT_NULL) break;
            if (entry.d_tag == DT_SYMTAB) symbols = entry.d_un.d_ptr;
            if (entry.d_tag == DT_STRTAB) strings = entry.d_un.d_ptr;
            if (entry.d_tag == DT_STRSZ) string_bytes = entry.d_un.d_val;
        }
    }
    // Linkers put the strings right behind the symbols; nothing else says how many there are.
    if (symbols == 0 || strings <= symbols || strings - symbols > most_table_bytes ||
        string_bytes > most_table_bytes) {
        return;
    }
    const std::span<const char> table = file.bytes_at(symbols, strings - symbols);
    const std::span<const char> names = file.bytes_at(strings, string_bytes);
    for (std::size_t at = sizeof(Elf64_Sym); at + sizeof(Elf64_Sym) <= table.size();
         at += sizeof(Elf64_Sym)) {
        Elf64_Sym raw;
        std::memcpy(&raw, table.data() + at, sizeof raw);
        const GElf_Sym entry{raw.st_name,  raw.st_info,  raw.st_other,
                             raw.st_shndx, raw.st_value, raw.st_size};
        if (!is_function(entry) || entry.st_name >= names.size()) continue;
        const char* const name = names.data() + entry.st_name;
        if (std::memchr(name, 0, names.size() - entry.st_name) != nullptr) add(entry, name);
    }
}

void symbol_table::add(const GElf_Sym& entry, const char* text) {
    if (text == nullptr || *text == '\0') return;
    std::uint64_t end = entry.st_value + entry.st_size;
    if (entry.st_size == 0) {
        // Hand-written assembly often gives no size; the unwinder's bounds stand in if they begin
        // with the symbol.
        const function_bounds* bounds = bounds_at(entry.st_value);
        if (bounds == nullptr || bounds->begin != entry.st_value) return;
        end = bounds->end;
    } else if (GELF_ST_TYPE(entry.st_info) == STT_NOTYPE) {
        return;  // data
    }
    if (end <= entry.st_value) return;
    std::string name = text;
    const unsigned rank = rank_of(entry, name);
    symbols_.push_back({entry.st_value, end, 0, rank, std::move(name)});
}

void symbol_table::sort() {
    const auto key = [](const symbol& s) { return std::tie(s.begin, s.end, s.rank, s.name); };
    std::sort(symbols_.begin(), symbols_.end(),
              [&](const symbol& a, const symbol& b) { return key(a) < key(b); });
    const auto last = std::unique(
        symbols_.begin(), symbols_.end(),
        [](const auto& a, const auto& b) { return a.begin == b.begin && a.end == b.end; });
    symbols_.erase(last, symbols_.end());
    std::uint64_t furthest = 0;
    for (symbol& s : symbols_)
        s.furthest_end = furthest = std::max(furthest, s.end);
}

const function_bounds* symbol_table::bounds_at(std::uint64_t address) const {
    auto after = std::upper_bound(
        bounds_.begin(), bounds_.end(), address,
        [](std::uint64_t wanted, const function_bounds& b) { return wanted < b.begin; });
    if (after == bounds_.begin()) return nullptr;
    --after;
    return address < after->end ? &*after : nullptr;
}

std::optional<symbol_table::function> symbol_table::find(std::uint64_t address) const {
    auto at =
        std::upper_bound(symbols_.begin(), symbols_.end(), address,
                         [](std::uint64_t wanted, const symbol& s) { return wanted < s.begin; });
    // Backwards to the innermost function that covers the address, as far as one may.
    while (at != symbols_.begin() && std::prev(at)->furthest_end > address) {
        --at;
        if (address < at->end) return function{at->name, at->begin};
    }
    if (const function_bounds* bounds = bounds_at(address)) return function{{}, bounds->begin};
    return std::nullopt;
}

}  // namespace nmircu::command
