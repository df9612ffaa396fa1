// SPDX-License-Identifier: MIT
//
// The one way this command fails: a line that says what was tried, what stopped it and what to try,
// and an exit status. main prints it. Thread context.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <nmi/exit_code.hpp>

namespace nmircu::command {

class complaint : public std::runtime_error {
  public:
    complaint(int exit_code, const std::string& line)
        : std::runtime_error(line), exit_code_(exit_code) {}
    [[nodiscard]] int exit_code() const { return exit_code_; }

  private:
    int exit_code_;
};

template <class... Args>
[[noreturn]] void fail(int exit_code, fmt::format_string<Args...> format, Args&&... args) {
    throw complaint(exit_code, fmt::format(format, std::forward<Args>(args)...));
}

// Text from elsewhere, fit to be part of one line on a terminal: control characters become spaces,
// and bytes that are no UTF-8 question marks.
std::string one_line(std::string_view text);

// "nmi: TEXT" and a newline on stderr, whatever TEXT holds.
void say(std::string_view text);

}  // namespace nmircu::command
