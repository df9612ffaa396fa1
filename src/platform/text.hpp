// SPDX-License-Identifier: MIT
//
// One line of text in a fixed buffer, for messages from places where nothing may be allocated.
// Freestanding; any context. Too long a line is cut.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nmircu::platform {

template <std::size_t Bytes = 512>
class text_line {
  public:
    text_line& operator<<(const char* text) noexcept {
        for (text = text == nullptr ? "(null)" : text; *text != '\0'; ++text)
            put(*text);
        return *this;
    }
    text_line& operator<<(std::uint64_t value) noexcept { return number(value, 10); }
    text_line& operator<<(std::uint32_t value) noexcept { return number(value, 10); }
    text_line& operator<<(const void* address) noexcept {
        *this << "0x";
        return number(reinterpret_cast<std::uintptr_t>(address), 16);
    }

    [[nodiscard]] const char* c_str() const noexcept { return text_; }

  private:
    void put(char c) noexcept {
        if (length_ + 1 < Bytes) text_[length_++] = c;
    }
    text_line& number(std::uint64_t value, unsigned base) noexcept {
        char digits[20];
        unsigned count = 0;
        do {
            digits[count++] = "0123456789abcdef"[value % base];
            value /= base;
        } while (value != 0);
        while (count != 0)
            put(digits[--count]);
        return *this;
    }

    char text_[Bytes] = {};
    std::size_t length_ = 0;
};

}  // namespace nmircu::platform
