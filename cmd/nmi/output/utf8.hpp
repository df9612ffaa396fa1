// SPDX-License-Identifier: MIT
//
// Text from elsewhere, one character at a time: well-formed UTF-8 (RFC 3629), or not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace nmircu::command {

struct utf8_character {
    std::uint32_t code;
    std::size_t bytes;  // 0: the front is no character; step over one byte
};

// Requires that `text` is not empty.
utf8_character first_character(std::string_view text);

// Whether a terminal may do something else with it than show it in its place: control characters,
// C1 included, line separators, and what turns the direction of writing.
bool is_control(std::uint32_t code);

}  // namespace nmircu::command
