// SPDX-License-Identifier: MIT
//
// Whether a file can be a module, found out before any of its code runs and before dlopen would
// say less precisely: who may write it, whether it is a shared object for this machine, whether it
// has the symbol, and for which version of module.h it was built.
// Thread context; reads the file and nothing else, every offset in it checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <agent/refusal.hpp>

namespace nmircu::agent {

// Opens `path` (absolute). A descriptor, or -1 and `why`: missing, not readable, not a regular
// file, or one that somebody else could change.
int open_module_file(const std::string& path, refusal& why);

// `path` is for the messages.
std::optional<refusal> check_module_file(int file, const std::string& path);

// The same for what the loaded module says of itself.
std::optional<refusal> check_abi(std::uint32_t abi, std::uint32_t bytes, const std::string& path);

}  // namespace nmircu::agent
