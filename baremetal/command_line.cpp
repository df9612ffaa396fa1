// SPDX-License-Identifier: MIT
#include "baremetal/command_line.hpp"

#include "baremetal/verdict.hpp"
#include "platform/text.hpp"

namespace nmircu::baremetal {

namespace {

constinit char command_line[1024]{};

bool ends_word(char c) noexcept {
    return c == ' ' || c == '\0';
}

// What follows `name=` at the beginning of the word; null: it is another one.
const char* value_of(const char* word, const char* name) noexcept {
    while (*name != '\0' && *word == *name)
        ++word, ++name;
    return *name == '\0' && *word == '=' ? word + 1 : nullptr;
}

}  // namespace

void set_command_line(const char* text) noexcept {
    unsigned i = 0;
    for (; text[i] != '\0' && i + 1 < sizeof command_line; ++i)
        command_line[i] = text[i];
    command_line[i] = '\0';
}

const char* find_option(const char* name) noexcept {
    const char* found = nullptr;
    const char* at = command_line;
    while (*at != '\0') {
        if (const char* const value = value_of(at, name); value != nullptr) found = value;
        while (!ends_word(*at))
            ++at;
        while (*at == ' ')
            ++at;
    }
    return found;
}

bool is_word(const char* text, const char* word) noexcept {
    while (*word != '\0' && *text == *word)
        ++text, ++word;
    return *word == '\0' && ends_word(*text);
}

bool option_is(const char* name, const char* word) noexcept {
    const char* const value = find_option(name);
    return value != nullptr && is_word(value, word);
}

void copy_option(const char* name, char* out, unsigned bytes) noexcept {
    const char* const value = find_option(name);
    unsigned i = 0;
    for (; value != nullptr && !ends_word(value[i]) && i + 1 < bytes; ++i)
        out[i] = value[i];
    out[i] = '\0';
}

std::uint64_t option_number(const char* name, std::uint64_t otherwise) noexcept {
    const char* const value = find_option(name);
    if (value == nullptr) return otherwise;
    std::uint64_t number = 0;
    unsigned digits = 0;
    for (; value[digits] >= '0' && value[digits] <= '9' && digits < 18; ++digits)
        number = number * 10 + static_cast<std::uint64_t>(value[digits] - '0');
    if (digits != 0 && ends_word(value[digits])) return number;
    char text[64];
    copy_option(name, text, sizeof text);
    platform::text_line line;
    line << "the command line says " << name << "=" << text << "; it must be a decimal number";
    end_with_failure("boot", line.c_str());
}

}  // namespace nmircu::baremetal
