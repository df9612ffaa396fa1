// SPDX-License-Identifier: MIT
//
// Places into names; see symbolizer.hpp.
#include <nmi/symbols/symbolizer.hpp>

#include <algorithm>
#include <filesystem>

#include <unistd.h>

#include <fmt/format.h>
#include <nmi/symbols/call_site.hpp>
#include <nmi/symbols/debug_file.hpp>
#include <nmi/symbols/mapped_file.hpp>

namespace nmircu::command {
namespace {

std::string name_of(const mapped_object& object) {
    if (object.region != 0) return fmt::format("[anon {:#x}]", object.region);
    if (object.path.starts_with('[')) return object.path;
    const std::string name = std::filesystem::path(object.path).filename();
    return object.replaced ? name + " (replaced)" : name;
}

// Code without a file: places in it are addresses.
bool is_memory(const mapped_object& object) {
    return object.inode == 0 || object.path.starts_with("/memfd:");
}

}  // namespace

struct symbolizer::opened_object {
    std::string name;
    unsigned machine = EM_NONE;
    std::vector<elf_segment> segments;
    std::unique_ptr<symbol_table> symbols;  // none if the object cannot be read
    bool has_lines = true;  // as far as is known: `lines` is opened when it is needed
    std::unique_ptr<source_lines> lines;
};

symbolizer::symbolizer(const std::vector<mapped_object>& objects, std::string debug_root)
    : objects_(objects), debug_root_(std::move(debug_root)) {}

symbolizer::~symbolizer() = default;

symbolizer::opened_object& symbolizer::open(std::uint32_t object) {
    std::unique_ptr<opened_object>& slot = opened_[object];
    if (slot) return *slot;
    slot = std::make_unique<opened_object>();
    slot->name = name_of(objects_[object]);
    if (const std::unique_ptr<elf_file> file = open_mapped(objects_[object])) {
        const std::unique_ptr<elf_file> debug =
            find_debug_file(*file, objects_[object].path, debug_root_);
        slot->machine = file->header().e_machine;
        slot->segments = file->segments();
        slot->symbols = std::make_unique<symbol_table>(*file, debug.get());
    }
    return *slot;
}

function_name symbolizer::find(const code_place& place) {
    if (place.object == code_place::no_object) return {"[unknown]", {}};
    const opened_object& object = open(place.object);
    const std::string itself =
        object.name.starts_with('[') ? object.name : fmt::format("[{}]", object.name);
    // Nothing to look into: code made at run time, or a file that could not be opened.
    if (!object.symbols) {
        const std::string* told = jit_ != nullptr && is_memory(objects_[place.object])
                                      ? jit_->find(place.file_offset)
                                      : nullptr;
        return {told != nullptr ? demangle(*told) : itself, object.name};
    }
    const std::optional<std::uint64_t> address = code_address(object.segments, place.file_offset);
    if (!address) return {itself, object.name};
    const std::optional<symbol_table::function> found = object.symbols->find(*address);
    if (!found) return {itself, object.name};
    if (found->name.empty()) {
        return {fmt::format("{}+{:#x}", object.name, found->begin), object.name};
    }
    return {demangle(found->name), object.name};
}

const function_name& symbolizer::name(const code_place& place) {
    const auto known = names_.find(place);
    if (known != names_.end()) return known->second;
    return names_.emplace(place, find(place)).first->second;
}

std::vector<line_in_source> symbolizer::find_lines(const code_place& place) {
    const function_name& whole = name(place);
    std::vector<line_in_source> found;
    if (place.object != code_place::no_object) {
        opened_object& object = open(place.object);
        const std::optional<std::uint64_t> address =
            code_address(object.segments, place.file_offset);
        if (source_lines* lines = address ? lines_of(place.object) : nullptr)
            found = lines->find(*address);
    }
    for (line_in_source& line : found)
        line.function = line.function.empty() ? whole.function : demangle(line.function);
    if (found.empty()) found.push_back({whole.function, {}, 0});
    return found;
}

source_lines* symbolizer::lines_of(std::uint32_t number) {
    opened_object& object = open(number);
    if (object.lines || !object.has_lines) return object.lines.get();
    object.has_lines = false;  // asked once
    if (std::unique_ptr<elf_file> file = open_mapped(objects_[number])) {
        if (auto debug = find_debug_file(*file, objects_[number].path, debug_root_))
            object.lines = source_lines::open(std::move(debug));
        if (!object.lines) object.lines = source_lines::open(std::move(file));
    }
    return object.lines.get();
}

const std::vector<line_in_source>& symbolizer::lines(const code_place& place) {
    const auto known = lines_.find(place);
    if (known != lines_.end()) return known->second;
    return lines_.emplace(place, find_lines(place)).first->second;
}

std::vector<std::string> symbolizer::replaced() const {
    std::vector<std::string> paths;
    for (const auto& [number, object] : opened_) {
        if (objects_[number].replaced) paths.push_back(objects_[number].path);
    }
    return paths;
}

bool symbolizer::find_call(const code_place& place) {
    if (place.object == code_place::no_object) return false;
    const unsigned machine = open(place.object).machine;
    const int file = objects_[place.object].file.get();
    if (file < 0 || machine == EM_NONE) return true;
    std::uint8_t before[longest_call];
    const std::uint64_t end = place.file_offset + 1;
    const std::uint64_t begin = end - std::min<std::uint64_t>(end, longest_call);
    const ssize_t count = pread(file, before, end - begin, static_cast<off_t>(begin));
    if (count != static_cast<ssize_t>(end - begin)) return true;
    return ends_with_call(machine, {before, static_cast<std::size_t>(count)});
}

bool symbolizer::is_call(const code_place& place) {
    const auto known = calls_.find(place);
    if (known != calls_.end()) return known->second;
    return calls_.emplace(place, find_call(place)).first->second;
}

}  // namespace nmircu::command
