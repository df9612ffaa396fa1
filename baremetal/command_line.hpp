// SPDX-License-Identifier: MIT
//
// The command line: words `name=value`, of which the last counts; other words are ignored (loaders
// put the image's path first). Any context, once it is set.
#pragma once

#include <cstdint>

namespace nmircu::baremetal {

// Copied, up to 1,023 characters.
void set_command_line(const char* text) noexcept;

// The value, ended by a blank or the end; null if there is none.
[[nodiscard]] const char* find_option(const char* name) noexcept;
// Whether it is there and is that word.
[[nodiscard]] bool option_is(const char* name, const char* word) noexcept;
// As a decimal number; `otherwise`, if it is not there. Not a number: ends the machine with a line.
[[nodiscard]] std::uint64_t option_number(const char* name, std::uint64_t otherwise) noexcept;
// Copies the value; an empty text, if it is not there.
void copy_option(const char* name, char* out, unsigned bytes) noexcept;

// Whether `text`, up to a blank or its end, is `word`.
[[nodiscard]] bool is_word(const char* text, const char* word) noexcept;

}  // namespace nmircu::baremetal
