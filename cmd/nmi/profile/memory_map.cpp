// SPDX-License-Identifier: MIT
//
// The union over time of a program's executable mappings; see memory_map.hpp.
#include <nmi/profile/memory_map.hpp>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fmt/format.h>

namespace nmircu::command {
namespace {

constexpr std::string_view deleted_mark = " (deleted)";

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
mapping parse_line(std::string_view line, bool& executable) {
    mapping found{};
    found.begin = number(take_until(line, '-'), 16);
    found.end = number(take_until(line, ' '), 16);
    executable = take_until(line, ' ').find('x') != std::string_view::npos;
    found.file_offset = number(take_until(line, ' '), 16);
    const auto major = static_cast<unsigned>(number(take_until(line, ':'), 16));
    const auto minor = static_cast<unsigned>(number(take_until(line, ' '), 16));
    found.device = makedev(major, minor);
    found.inode = number(take_until(line, ' '), 10);
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    if (line.ends_with(deleted_mark)) line.remove_suffix(deleted_mark.size());
    found.path = line.empty() ? "[anon]" : line;
    return found;
}

// Whether an opened file is the one that is mapped.
bool is_same_file(const unique_fd& file, const mapping& line) {
    struct stat found;
    return file && fstat(file.get(), &found) == 0 && S_ISREG(found.st_mode) &&
           found.st_ino == line.inode;
}

}  // namespace

std::vector<mapping> parse_maps(std::string_view text) {
    std::vector<mapping> lines;
    while (!text.empty()) {
        bool executable = false;
        mapping line = parse_line(take_until(text, '\n'), executable);
        if (executable && line.begin < line.end) lines.push_back(std::move(line));
    }
    return lines;
}

bool memory_map::refresh() {
    std::ifstream file(fmt::format("/proc/{}/maps", pid_));
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    update(text);
    return !text.empty();
}

void memory_map::update(std::string_view maps_text) {
    for (const mapping& line : parse_maps(maps_text))
        insert(line);
}

void memory_map::insert(const mapping& line) {
    const std::uint32_t object = object_of(line);
    const bool has_image = line.inode != 0 || line.path == "[vdso]";
    const std::uint64_t offset = has_image ? line.file_offset : line.begin;
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

std::uint32_t memory_map::object_of(const mapping& line) {
    const auto known = std::find_if(objects_.begin(), objects_.end(), [&](const mapped_object& o) {
        return o.inode == line.inode && o.device == line.device && o.path == line.path;
    });
    if (known != objects_.end()) return static_cast<std::uint32_t>(known - objects_.begin());
    objects_.push_back({line.path, line.device, line.inode, open_object(line)});
    return static_cast<std::uint32_t>(objects_.size() - 1);
}

// By the path as the program sees it; by the mapping itself if that file was deleted or replaced.
unique_fd memory_map::open_object(const mapping& line) const {
    if (line.inode == 0) return {};
    const std::string candidates[] = {
        fmt::format("/proc/{}/root{}", pid_, line.path),
        line.path,
        fmt::format("/proc/{}/map_files/{:x}-{:x}", pid_, line.begin, line.end),
    };
    for (const std::string& path : candidates) {
        unique_fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
        if (is_same_file(file, line)) return file;
    }
    return {};
}

code_place memory_map::find(std::uint64_t address) const {
    const auto after = ranges_.upper_bound(address);
    if (after == ranges_.begin()) return {code_place::no_object, address};
    const auto& [begin, found] = *std::prev(after);
    if (address >= found.end) return {code_place::no_object, address};
    return {found.object, found.file_offset + (address - begin)};
}

}  // namespace nmircu::command
