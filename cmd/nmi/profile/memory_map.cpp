// SPDX-License-Identifier: MIT
//
// The union over time of a program's executable mappings; see memory_map.hpp.
#include <nmi/profile/memory_map.hpp>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

#include <sys/sysmacros.h>

#include <fmt/format.h>
#include <nmi/profile/mapped_image.hpp>

namespace nmircu::command {
namespace {

constexpr std::string_view deleted_mark = " (deleted)";
constexpr std::size_t most_regions = 4096;

std::string_view take_until(std::string_view& rest, char separator) {
    const std::size_t end = std::min(rest.find(separator), rest.size());
    const std::string_view word = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return word;
}

std::uint64_t number(std::string_view text, int base) {
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value, base);
    return value;
}

// begin-end perms offset major:minor inode   path
mapping parse_line(std::string_view line) {
    mapping found{};
    found.begin = number(take_until(line, '-'), 16);
    found.end = number(take_until(line, ' '), 16);
    const std::string_view permissions = take_until(line, ' ');
    found.readable = permissions.find('r') != std::string_view::npos;
    found.writable = permissions.find('w') != std::string_view::npos;
    found.executable = permissions.find('x') != std::string_view::npos;
    found.file_offset = number(take_until(line, ' '), 16);
    const auto major = static_cast<unsigned>(number(take_until(line, ':'), 16));
    const auto minor = static_cast<unsigned>(number(take_until(line, ' '), 16));
    found.device = makedev(major, minor);
    found.inode = number(take_until(line, ' '), 10);
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    found.deleted = line.ends_with(deleted_mark);
    if (found.deleted) line.remove_suffix(deleted_mark.size());
    found.path = line.empty() ? "[anon]" : line;
    return found;
}

std::vector<mapping> parse_all(std::string_view text) {
    std::vector<mapping> lines;
    while (!text.empty()) {
        mapping line = parse_line(take_until(text, '\n'));
        if (line.begin < line.end) lines.push_back(std::move(line));
    }
    return lines;
}

// Whether there is a file whose contents are the code. Memory that was shared out of a memory file
// is code made at run time.
bool has_image(const mapping& line) {
    return line.path == "[vdso]" || (line.inode != 0 && !line.path.starts_with("/memfd:"));
}

}  // namespace

std::vector<mapping> parse_maps(std::string_view text) {
    std::vector<mapping> lines = parse_all(text);
    std::erase_if(lines, [](const mapping& line) { return !line.executable; });
    return lines;
}

bool memory_map::refresh() {
    std::ifstream file(fmt::format("/proc/{}/maps", pid_));
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    update(text);
    if (!text.empty()) jit_.refresh();
    return !text.empty();
}

void memory_map::update(std::string_view maps_text) {
    const std::vector<mapping> all = parse_all(maps_text);
    for (const mapping& line : all) {
        if (line.executable) insert(line, all);
    }
}

void memory_map::insert(const mapping& line, const std::vector<mapping>& all) {
    const std::uint32_t object = object_of(line, all);
    const std::uint64_t offset = has_image(line) ? line.file_offset : line.begin;
    // Cut away what overlaps; the parts that stick out stay.
    auto at = ranges_.upper_bound(line.begin);
    if (at != ranges_.begin() && std::prev(at)->second.end > line.begin) --at;
    while (at != ranges_.end() && at->first < line.end) {
        const auto [begin, old] = *at;
        if (begin == line.begin && old.end == line.end && old.object == object &&
            old.file_offset == offset) {
            return;  // as it was: the usual case
        }
        at = ranges_.erase(at);
        if (begin < line.begin) ranges_[begin] = {line.begin, old.object, old.file_offset};
        if (old.end > line.end) {
            at = ranges_
                     .insert_or_assign(
                         line.end, range{old.end, old.object, old.file_offset + (line.end - begin)})
                     .first;
        }
    }
    ranges_[line.begin] = {line.end, object, offset};
}

std::uint32_t memory_map::object_of(const mapping& line, const std::vector<mapping>& all) {
    // Regions of memory are told apart by where they begin, up to a point.
    const bool is_region = line.path == "[anon]" && objects_.size() < most_regions;
    const std::uint64_t region = is_region ? line.begin : 0;
    const auto [known, is_new] = object_numbers_.try_emplace(
        {line.inode, line.device, region, line.path}, static_cast<std::uint32_t>(objects_.size()));
    if (!is_new) return known->second;
    mapped_object object{line.path, line.device, line.inode, {}, region, false};
    if (has_image(line) && line.inode != 0) {
        opened_image opened = open_image(pid_, line, all);
        object.file = std::move(opened.file);
        object.replaced = opened.replaced;
    }
    objects_.push_back(std::move(object));
    return known->second;
}

code_place memory_map::find(std::uint64_t address) const {
    const auto after = ranges_.upper_bound(address);
    if (after == ranges_.begin()) return {code_place::no_object, address};
    const auto& [begin, found] = *std::prev(after);
    if (address >= found.end) return {code_place::no_object, address};
    return {found.object, found.file_offset + (address - begin)};
}

std::vector<memory_map::known_range> memory_map::ranges() const {
    std::vector<known_range> all;
    for (const auto& [begin, known] : ranges_)
        all.push_back({begin, known.end, known.object, known.file_offset});
    return all;
}

}  // namespace nmircu::command
