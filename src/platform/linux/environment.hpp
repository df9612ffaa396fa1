// SPDX-License-Identifier: MIT
//
// Settings from the environment: read once, at the start; one that does not parse is reported in
// one line and ignored. Thread context.
#pragma once

#include <cstdint>

namespace nmircu::platform {

struct setting_range {
    std::uint64_t least, most;
};

// Whether `name` is set to a decimal number within the range; then `value` is that number.
// Set to anything else: reports it, and what would be right, and returns false.
bool read_setting(const char* name, setting_range range, std::uint64_t& value) noexcept;

}  // namespace nmircu::platform
