// SPDX-License-Identifier: MIT
//
// Numbers for people; see numbers.hpp.
#include <nmi/output/numbers.hpp>

#include <algorithm>

#include <fmt/format.h>

namespace nmircu::command {

std::string grouped(std::uint64_t count) {
    std::string digits = std::to_string(count);
    for (std::size_t at = digits.size(); at > 3;) {
        at -= 3;
        digits.insert(at, ",");
    }
    return digits;
}

std::string duration(double nanoseconds) {
    if (nanoseconds < 999.5) return fmt::format("{:.0f} ns", nanoseconds);
    const char* unit = "µs";
    double value = nanoseconds / 1e3;
    if (value >= 999.5) {
        value /= 1e3;
        unit = "ms";
    }
    if (value >= 999.5) {
        value /= 1e3;
        unit = "s";
    }
    return fmt::format("{:.{}f} {}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0, unit);
}

std::string percent(std::uint64_t part, std::uint64_t whole) {
    const double share =
        whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
    return fmt::format("{:.2f}%", share);
}

std::size_t columns(const std::string& text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    }));
}

std::string pad_left(const std::string& text, std::size_t width) {
    const std::size_t used = columns(text);
    return used < width ? std::string(width - used, ' ') + text : text;
}

std::string pad_right(const std::string& text, std::size_t width) {
    const std::size_t used = columns(text);
    return used < width ? text + std::string(width - used, ' ') : text;
}

}  // namespace nmircu::command
