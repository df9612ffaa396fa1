// SPDX-License-Identifier: MIT
//
// Settings from the environment.
#include "platform/linux/environment.hpp"

#include <cstdlib>

#include <nmircu/platform/port.hpp>

#include "platform/text.hpp"

namespace nmircu::platform {

namespace {

// False: not a decimal number, or too large.
bool parse(const char* text, std::uint64_t most, std::uint64_t& value) noexcept {
    if (*text == '\0') return false;
    value = 0;
    for (; *text != '\0'; ++text) {
        if (*text < '0' || *text > '9') return false;
        const auto digit = static_cast<std::uint64_t>(*text - '0');
        if (digit > most || value > (most - digit) / 10) return false;
        value = value * 10 + digit;
    }
    return true;
}

}  // namespace

bool read_setting(const char* name, setting_range range, std::uint64_t& value) noexcept {
    const char* const text = std::getenv(name);
    if (text == nullptr) return false;
    std::uint64_t number = 0;
    if (parse(text, range.most, number) && number >= range.least) {
        value = number;
        return true;
    }
    text_line line;
    line << "nmircu: " << name << "=" << text << " is ignored: it must be a number from "
         << range.least << " to " << range.most;
    port::report(line.c_str());
    return false;
}

}  // namespace nmircu::platform
