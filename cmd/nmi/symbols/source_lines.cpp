// SPDX-License-Identifier: MIT
//
// libdw, asked carefully; see source_lines.hpp.
#include <nmi/symbols/source_lines.hpp>

#include <algorithm>
#include <optional>

#include <dwarf.h>

#include <nmi/symbols/byte_cursor.hpp>

namespace nmircu::command {
namespace {

constexpr std::uint64_t most_section_bytes = 1ull << 30;
constexpr std::uint64_t most_debug_bytes = 3ull << 30;
constexpr std::uint64_t most_line_program_bytes = 32 << 20;  // of one unit
constexpr std::size_t most_units = 200'000;
constexpr std::size_t most_extents = 4'000'000;
constexpr unsigned most_entries = 4'000'000;  // looked at, of one unit
constexpr unsigned deepest = 64;

// Whether the section's last string ends.
bool ends_with_nul(const elf_file::section& section) {
    if (!decompress(section, most_section_bytes)) return false;
    const Elf_Data* data = elf_rawdata(section.handle, nullptr);
    if (data == nullptr || data->d_size == 0) return true;
    return data->d_buf != nullptr && static_cast<const char*>(data->d_buf)[data->d_size - 1] == 0;
}

// Sections that libdw reads are not larger than real ones, nor when decompressed.
bool is_reasonable(const elf_file& file) {
    std::uint64_t sum = 0;
    for (const elf_file::section& section : file.sections()) {
        if (!section.name.starts_with(".debug_") && !section.name.starts_with(".zdebug_")) continue;
        std::uint64_t bytes = section.header.sh_size;
        GElf_Chdr header;
        if ((section.header.sh_flags & SHF_COMPRESSED) != 0) {
            if (gelf_getchdr(section.handle, &header) == nullptr) return false;
            bytes = header.ch_size;
        } else if (section.name.starts_with(".zdebug_")) {
            return false;  // the form of before 2012 does not tell its size so easily
        }
        if (bytes > most_section_bytes) return false;
        sum += bytes;
        const bool has_strings = section.name == ".debug_str" || section.name == ".debug_line_str";
        if (has_strings && !ends_with_nul(section)) return false;
    }
    return sum <= most_debug_bytes;
}

// Calls visit(begin, end) for each stretch of the entry's code.
template <class Visit>
void for_each_range(Dwarf_Die& entry, Visit visit) {
    Dwarf_Addr base = 0, begin = 0, end = 0;
    std::ptrdiff_t at = 0;
    for (unsigned i = 0; i < 100'000; ++i) {
        at = dwarf_ranges(&entry, at, &base, &begin, &end);
        if (at <= 0) return;
        if (begin < end && begin != 0) visit(begin, end);
    }
}

bool covers(Dwarf_Die& entry, std::uint64_t address) {
    bool found = false;
    for_each_range(entry, [&](std::uint64_t begin, std::uint64_t end) {
        found = found || (address >= begin && address < end);
    });
    return found;
}

bool may_hold_functions(int tag) {
    return tag == DW_TAG_namespace || tag == DW_TAG_module || tag == DW_TAG_structure_type ||
           tag == DW_TAG_class_type || tag == DW_TAG_union_type || tag == DW_TAG_enumeration_type ||
           tag == DW_TAG_subprogram;
}

bool may_hold_inlined(int tag) {
    return tag == DW_TAG_lexical_block || tag == DW_TAG_inlined_subroutine ||
           tag == DW_TAG_try_block || tag == DW_TAG_catch_block || tag == DW_TAG_call_site ||
           tag == DW_TAG_GNU_call_site;
}

// Walks the entries below `root`, depth first, itself: libdw's own walk recurses as deep as the
// file wants. `visit` says of each whether to go below it, or (nothing) to stop.
template <class Visit>
void walk_below(Dwarf_Die root, unsigned& budget, Visit visit) {
    std::vector<Dwarf_Die> path;
    Dwarf_Die at;
    if (dwarf_child(&root, &at) != 0) return;
    for (;;) {
        if (budget == 0) return;
        --budget;
        const std::optional<bool> go_below = visit(at);
        if (!go_below) return;
        Dwarf_Die next;
        if (*go_below && path.size() < deepest && dwarf_child(&at, &next) == 0) {
            path.push_back(at);
            at = next;
            continue;
        }
        while (dwarf_siblingof(&at, &next) != 0) {
            if (path.empty()) return;
            at = path.back();
            path.pop_back();
        }
        if (next.addr <= at.addr) return;  // a sibling that comes before: a circle
        at = next;
    }
}

std::string text_of(Dwarf_Die& entry, unsigned attribute) {
    Dwarf_Attribute found;
    const char* text = dwarf_formstring(dwarf_attr_integrate(&entry, attribute, &found));
    return text != nullptr ? text : "";
}

std::string function_of(Dwarf_Die& entry) {
    std::string name = text_of(entry, DW_AT_linkage_name);
    if (name.empty()) name = text_of(entry, DW_AT_MIPS_linkage_name);
    return name.empty() ? text_of(entry, DW_AT_name) : name;
}

// Where an inlined function's call was written.
line_in_source call_of(Dwarf_Die& inlined, Dwarf_Die& unit) {
    line_in_source found;
    Dwarf_Attribute attribute;
    Dwarf_Word value = 0;
    if (dwarf_formudata(dwarf_attr(&inlined, DW_AT_call_line, &attribute), &value) == 0)
        found.line = static_cast<unsigned>(value);
    Dwarf_Files* files = nullptr;
    std::size_t count = 0;
    if (dwarf_formudata(dwarf_attr(&inlined, DW_AT_call_file, &attribute), &value) == 0 &&
        dwarf_getsrcfiles(&unit, &files, &count) == 0 && value < count) {
        if (const char* name = dwarf_filesrc(files, value, nullptr, nullptr)) found.file = name;
    }
    return found;
}

template <class Extents>
auto extents_at(const Extents& extents, std::uint64_t address) {
    return std::upper_bound(
        extents.begin(), extents.end(), address,
        [](std::uint64_t wanted, const auto& one) { return wanted < one.begin; });
}

}  // namespace

std::unique_ptr<source_lines> source_lines::open(std::unique_ptr<elf_file> file) {
    if (!file || !file->is_trusted() || !is_reasonable(*file)) return nullptr;
    Dwarf* dwarf = dwarf_begin_elf(file->handle(), DWARF_C_READ, nullptr);
    if (dwarf == nullptr) return nullptr;
    std::unique_ptr<source_lines> opened(new source_lines(std::move(file), dwarf));
    opened->read_units();
    if (opened->units_.empty()) return nullptr;
    return opened;
}

source_lines::source_lines(std::unique_ptr<elf_file> file, Dwarf* dwarf)
    : file_(std::move(file)), dwarf_(dwarf) {}

source_lines::~source_lines() {
    dwarf_end(dwarf_);
}

void source_lines::read_units() {
    Dwarf_CU* unit = nullptr;
    Dwarf_Die entry;
    std::uint8_t type = 0;
    for (std::size_t count = 0; count < most_units && dwarf_get_units(dwarf_, unit, &unit, nullptr,
                                                                      &type, &entry, nullptr) == 0;
         ++count) {
        if (type != DW_UT_compile || units_.size() > most_extents) continue;
        const Dwarf_Off offset = dwarf_dieoffset(&entry);
        for_each_range(entry, [&](std::uint64_t begin, std::uint64_t end) {
            units_.push_back({begin, end, offset});
        });
    }
    std::sort(units_.begin(), units_.end(),
              [](const extent& a, const extent& b) { return a.begin < b.begin; });
}

const std::vector<source_lines::extent>& source_lines::functions_of(Dwarf_Off unit) {
    const auto [known, is_new] = functions_.try_emplace(unit);
    if (!is_new) return known->second;
    std::vector<extent>& functions = known->second;
    Dwarf_Die root;
    if (dwarf_offdie(dwarf_, unit, &root) == nullptr) return functions;
    unsigned budget = most_entries;
    walk_below(root, budget, [&](Dwarf_Die& entry) -> std::optional<bool> {
        const int tag = dwarf_tag(&entry);
        if (tag == DW_TAG_subprogram && functions.size() < most_extents) {
            const Dwarf_Off offset = dwarf_dieoffset(&entry);
            for_each_range(entry, [&](std::uint64_t begin, std::uint64_t end) {
                functions.push_back({begin, end, offset});
            });
        }
        return may_hold_functions(tag);
    });
    std::sort(functions.begin(), functions.end(),
              [](const extent& a, const extent& b) { return a.begin < b.begin; });
    return functions;
}

// The function's entry and those of inlined functions that cover the address, outermost first.
std::vector<Dwarf_Die> source_lines::scopes(Dwarf_Off unit, std::uint64_t address) {
    const std::vector<extent>& functions = functions_of(unit);
    const auto after = extents_at(functions, address);
    Dwarf_Die function;
    if (after == functions.begin() || address >= std::prev(after)->end ||
        dwarf_offdie(dwarf_, std::prev(after)->entry, &function) == nullptr) {
        return {};
    }
    std::vector<Dwarf_Die> found{function};
    unsigned budget = most_entries / 40;
    walk_below(function, budget, [&](Dwarf_Die& entry) -> std::optional<bool> {
        const int tag = dwarf_tag(&entry);
        if (!may_hold_inlined(tag)) return false;
        if (tag != DW_TAG_inlined_subroutine) return true;
        if (!covers(entry, address)) return false;
        if (found.size() < deepest) found.push_back(entry);
        return true;
    });
    return found;
}

// A line takes some 40 times the memory of its program, so no more than real units have.
bool source_lines::may_read_lines(Dwarf_Die unit) {
    Dwarf_Attribute attribute;
    Dwarf_Word offset = 0;
    if (dwarf_formudata(dwarf_attr(&unit, DW_AT_stmt_list, &attribute), &offset) != 0) return false;
    for (const elf_file::section& section : file_->sections()) {
        if (section.name != ".debug_line") continue;
        const Elf_Data* data = elf_rawdata(section.handle, nullptr);
        if (data == nullptr || data->d_buf == nullptr || offset > data->d_size) return false;
        byte_cursor bytes({static_cast<const std::uint8_t*>(data->d_buf) + offset,
                           static_cast<std::size_t>(data->d_size - offset)});
        std::uint64_t length = bytes.fixed(4);
        if (length == 0xffffffff) length = bytes.fixed(8);
        return bytes.good() && length <= most_line_program_bytes;
    }
    return false;
}

std::vector<line_in_source> source_lines::find(std::uint64_t address) {
    const auto after = extents_at(units_, address);
    if (after == units_.begin() || address >= std::prev(after)->end) return {};
    const Dwarf_Off offset = std::prev(after)->entry;
    Dwarf_Die unit;
    if (dwarf_offdie(dwarf_, offset, &unit) == nullptr) return {};

    line_in_source innermost;
    if (may_read_lines(unit)) {
        if (Dwarf_Line* line = dwarf_getsrc_die(&unit, address)) {
            int number = 0;
            dwarf_lineno(line, &number);
            innermost.line = number > 0 ? static_cast<unsigned>(number) : 0;
            if (const char* name = dwarf_linesrc(line, nullptr, nullptr)) innermost.file = name;
        }
    }
    std::vector<Dwarf_Die> chain = scopes(offset, address);
    std::vector<line_in_source> found{innermost};
    for (std::size_t i = chain.size(); i-- > 0;) {
        found.back().function = function_of(chain[i]);
        if (i > 0) found.push_back(call_of(chain[i], unit));
    }
    if (found.size() == 1 && found[0].line == 0 && found[0].function.empty()) return {};
    return found;
}

}  // namespace nmircu::command
