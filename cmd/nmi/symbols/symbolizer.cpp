// SPDX-License-Identifier: MIT
//
// Places into names; see symbolizer.hpp.
#include <nmi/symbols/symbolizer.hpp>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <cxxabi.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nmi/symbols/call_site.hpp>
#include <nmi/symbols/mapped_file.hpp>

namespace nmircu::command {
namespace {

std::string file_name(const std::string& path) {
    return path.starts_with('[') ? path : std::filesystem::path(path).filename().string();
}

std::unique_ptr<elf_file> open_debug_file(const std::string& root, const std::string& build_id) {
    if (build_id.size() < 3) return nullptr;
    std::unique_ptr<elf_file> file = elf_file::open(
        fmt::format("{}/.build-id/{}/{}.debug", root, build_id.substr(0, 2), build_id.substr(2)));
    return file && file->build_id() == build_id ? std::move(file) : nullptr;
}

}  // namespace

struct symbolizer::opened_object {
    std::string name;
    unsigned machine = EM_NONE;
    std::vector<elf_segment> segments;
    std::unique_ptr<symbol_table> symbols;  // none if the object cannot be read
};

symbolizer::symbolizer(const std::vector<mapped_object>& objects, std::string debug_root)
    : objects_(objects), debug_root_(std::move(debug_root)) {}

symbolizer::~symbolizer() = default;

symbolizer::opened_object& symbolizer::open(std::uint32_t object) {
    std::unique_ptr<opened_object>& slot = opened_[object];
    if (slot) return *slot;
    slot = std::make_unique<opened_object>();
    slot->name = file_name(objects_[object].path);
    if (const std::unique_ptr<elf_file> file = open_mapped(objects_[object])) {
        const std::unique_ptr<elf_file> debug = open_debug_file(debug_root_, file->build_id());
        slot->machine = file->header().e_machine;
        slot->segments = file->segments();
        slot->symbols = std::make_unique<symbol_table>(*file, debug.get());
    }
    return *slot;
}

function_name symbolizer::find(const code_place& place) {
    if (place.object == code_place::no_object) return {"[unknown]", {}};
    const opened_object& object = open(place.object);
    // Nothing to look into: code made at run time, or a file that could not be opened.
    if (!object.symbols) {
        return {object.name.starts_with('[') ? object.name : fmt::format("[{}]", object.name),
                object.name};
    }
    const std::optional<std::uint64_t> address = code_address(object.segments, place.file_offset);
    if (!address) return {fmt::format("[{}]", object.name), object.name};
    const std::optional<symbol_table::function> found = object.symbols->find(*address);
    if (!found) return {fmt::format("[{}]", object.name), object.name};
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

std::string demangle(const std::string& name) {
    if (!name.starts_with("_Z")) return name;
    int status = 0;
    const std::unique_ptr<char, decltype(&std::free)> plain(
        abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status), &std::free);
    return plain && status == 0 ? plain.get() : name;
}

}  // namespace nmircu::command
