// SPDX-License-Identifier: MIT
//
// printf on the console, as far as stdio.h says: whole lines. Thread context.
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include "baremetal/libc/stdio.h"
#include "platform/baremetal/console.hpp"

namespace {

class line_writer {
  public:
    void put(char c) noexcept {
        ++written_;
        if (c != '\n') line_[used_++] = c;
        if (c == '\n' || used_ == sizeof(line_) - 1) flush();
    }
    void put(const char* text) noexcept {
        while (*text != '\0')
            put(*text++);
    }
    void put(std::uint64_t value, unsigned base) noexcept {
        char digits[20];
        std::size_t count = 0;
        do
            digits[count++] = "0123456789abcdef"[value % base];
        while ((value /= base) != 0);
        while (count != 0)
            put(digits[--count]);
    }
    void flush() noexcept {
        line_[used_] = '\0';
        nmircu::baremetal::print_line(line_);
        used_ = 0;
    }
    [[nodiscard]] bool is_empty() const noexcept { return used_ == 0; }
    [[nodiscard]] int written() const noexcept { return written_; }

  private:
    char line_[256];
    std::size_t used_ = 0;
    int written_ = 0;
};

void put_integer(line_writer& out, char conversion, bool is_long, std::va_list& values) noexcept {
    if (conversion == 'd') {
        const std::int64_t value = is_long ? va_arg(values, long) : va_arg(values, int);
        if (value < 0) out.put('-');
        out.put(value < 0 ? -std::uint64_t(value) : std::uint64_t(value), 10);
        return;
    }
    const std::uint64_t value = is_long ? va_arg(values, unsigned long) : va_arg(values, unsigned);
    out.put(value, conversion == 'x' ? 16 : 10);
}

int print(const char* format, std::va_list& values) noexcept {
    line_writer out;
    for (; *format != '\0'; ++format) {
        if (*format != '%') {
            out.put(*format);
            continue;
        }
        bool is_long = false;
        while (*++format == 'l')
            is_long = true;
        if (*format == 's') {
            out.put(va_arg(values, const char*));
        } else if (*format == 'c') {
            out.put(static_cast<char>(va_arg(values, int)));
        } else if (*format == 'p') {
            out.put("0x");
            out.put(reinterpret_cast<std::uintptr_t>(va_arg(values, void*)), 16);
        } else if (*format == 'd' || *format == 'u' || *format == 'x') {
            put_integer(out, *format, is_long, values);
        } else {
            out.put(*format);
        }
    }
    if (!out.is_empty()) out.flush();
    return out.written();
}

}  // namespace

int printf(const char* format, ...) {
    std::va_list values;
    va_start(values, format);
    const int written = print(format, values);
    va_end(values);
    return written;
}

int fprintf(FILE*, const char* format, ...) {
    std::va_list values;
    va_start(values, format);
    const int written = print(format, values);
    va_end(values);
    return written;
}
