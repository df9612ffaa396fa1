// SPDX-License-Identifier: MIT
//
// Functions by address; see symbol_table.hpp.
#include <nmi/symbols/symbol_table.hpp>

#include <algorithm>
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

}  // namespace

symbol_table::symbol_table(const elf_file& file, const elf_file* debug)
    : bounds_(frame_bounds(file)) {
    read(file);
    if (debug != nullptr) read(*debug);
    sort();
}

void symbol_table::read(const elf_file& file) {
    for (const elf_file::section& section : file.sections()) {
        const GElf_Shdr& header = section.header;
        if ((header.sh_type != SHT_SYMTAB && header.sh_type != SHT_DYNSYM) ||
            header.sh_entsize == 0) {
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
