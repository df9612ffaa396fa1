// SPDX-License-Identifier: MIT
//
// A file that is either written completely or left as it was. Thread context.
#pragma once

#include <string>
#include <string_view>

namespace nmircu::command {

// Whether write_file could write `path`, tried without changing anything: empty, or the reason.
std::string cannot_write(const std::string& path);

// Writes all of `text`; empty, or the reason why not. A device or pipe is written to directly,
// anything else is replaced in one step.
std::string write_file(const std::string& path, std::string_view text);

}  // namespace nmircu::command
