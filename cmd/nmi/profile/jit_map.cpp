// SPDX-License-Identifier: MIT
//
// perf-PID.map; see jit_map.hpp.
#include <nmi/profile/jit_map.hpp>

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nmi/file_text.hpp>
#include <nmi/unique_fd.hpp>

namespace nmircu::command {
namespace {

constexpr std::size_t most_functions = 1'000'000;

// The numbers of a line "KEY:\t1\t2..." of /proc/PID/status.
std::vector<std::uint64_t> numbers_of(std::string_view status, std::string_view key) {
    std::vector<std::uint64_t> numbers;
    std::size_t at = status.find(std::string("\n").append(key).append(":"));
    if (at == std::string_view::npos) return numbers;
    at += key.size() + 2;
    const std::string_view line = status.substr(at, status.find('\n', at) - at);
    const char* const end = line.data() + line.size();
    for (const char* c = line.data(); c != end;) {
        std::uint64_t value = 0;
        const auto [rest, error] = std::from_chars(c, end, value);
        if (error == std::errc()) numbers.push_back(value);
        c = rest == c ? c + 1 : rest;
    }
    return numbers;
}

std::optional<std::uint64_t> take_hex(std::string_view& line) {
    if (line.starts_with("0x")) line.remove_prefix(2);
    std::uint64_t value = 0;
    const char* const end = line.data() + line.size();
    const auto [rest, error] = std::from_chars(line.data(), end, value, 16);
    if (error != std::errc() || rest == end || *rest != ' ') return std::nullopt;
    line.remove_prefix(static_cast<std::size_t>(rest - line.data()) + 1);
    return value;
}

}  // namespace

void jit_map::refresh() {
    const std::string status = text_of_file(fmt::format("/proc/{}/status", pid_));
    const std::vector<std::uint64_t> own_numbers = numbers_of(status, "NStgid");
    const std::vector<std::uint64_t> users = numbers_of(status, "Uid");
    if (users.size() < 2) return;
    const std::uint64_t number =
        own_numbers.empty() ? static_cast<std::uint64_t>(pid_) : own_numbers.back();
    const std::string path = fmt::format("/proc/{}/root/tmp/perf-{}.map", pid_, number);
    const unique_fd file(
        ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY));
    struct stat found;
    if (!file || fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode) ||
        found.st_uid != users[1]) {
        return;
    }
    const std::uint64_t size =
        std::min(static_cast<std::uint64_t>(std::max<off_t>(found.st_size, 0)), most_bytes);
    if (found.st_ino != inode_ || size < taken_) {  // a new file
        inode_ = found.st_ino;
        taken_ = 0;
        unfinished_.clear();
    }
    read(file.get(), size);
}

void jit_map::read(int file, std::uint64_t size) {
    std::string text(std::min<std::uint64_t>(1 << 20, size - taken_), '\0');
    while (taken_ < size) {
        const std::size_t wanted = std::min<std::uint64_t>(text.size(), size - taken_);
        const ssize_t got = pread(file, text.data(), wanted, static_cast<off_t>(taken_));
        if (got <= 0) return;
        taken_ += static_cast<std::uint64_t>(got);
        add(std::string_view(text).substr(0, static_cast<std::size_t>(got)));
    }
}

void jit_map::add(std::string_view text) {
    for (;;) {
        const std::size_t end = text.find('\n');
        if (unfinished_.size() <= 2 * longest_name) unfinished_ += text.substr(0, end);
        if (end == std::string_view::npos) return;
        add_line(unfinished_);
        unfinished_.clear();
        text.remove_prefix(end + 1);
    }
}

void jit_map::add_line(std::string_view line) {
    const std::optional<std::uint64_t> begin = take_hex(line);
    if (!begin) return;
    const std::optional<std::uint64_t> size = take_hex(line);
    if (!size || *size == 0 || *begin + *size < *begin || line.empty()) return;
    insert(*begin, *begin + *size, line.substr(0, longest_name));
}

void jit_map::insert(std::uint64_t begin, std::uint64_t end, std::string_view name) {
    // What was there before is gone, also if only a part of its room was taken.
    auto at = functions_.upper_bound(begin);
    if (at != functions_.begin() && std::prev(at)->second.end > begin) --at;
    while (at != functions_.end() && at->first < end)
        at = functions_.erase(at);
    if (functions_.size() < most_functions) functions_[begin] = {end, std::string(name)};
}

const std::string* jit_map::find(std::uint64_t address) const {
    const auto after = functions_.upper_bound(address);
    if (after == functions_.begin()) return nullptr;
    const auto& [begin, found] = *std::prev(after);
    return address < found.end ? &found.name : nullptr;
}

}  // namespace nmircu::command
