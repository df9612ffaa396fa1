// SPDX-License-Identifier: MIT
//
// gzip, whole and in memory. Thread context.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace nmircu::command {

bool is_gzip(std::string_view bytes);

// Equal texts give equal results: no time is stored.
std::string gzip(std::string_view text);

// What was compressed; nothing if it is damaged, cut off, or would be longer than `most_bytes`;
// `why` then says so.
std::optional<std::string> gunzip(std::string_view bytes, std::size_t most_bytes, std::string& why);

}  // namespace nmircu::command
