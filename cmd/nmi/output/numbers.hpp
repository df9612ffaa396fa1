// SPDX-License-Identifier: MIT
//
// Numbers for people.
#pragma once

#include <cstdint>
#include <string>

namespace nmircu::command {

std::string grouped(std::uint64_t count);                      // 1,234,567
std::string duration(double nanoseconds);                      // 840 ns, 1.24 µs, 45.1 ms, 2.00 s
std::string percent(std::uint64_t part, std::uint64_t whole);  // 12.34%; of nothing: 0.00%

// Columns on a terminal that UTF-8 text takes, if every character is one wide.
std::size_t columns(const std::string& text);
std::string pad_left(const std::string& text, std::size_t width);
std::string pad_right(const std::string& text, std::size_t width);

}  // namespace nmircu::command
