// SPDX-License-Identifier: MIT
//
// The separate file with an object's symbols and debug information: by build-id, or by the name and
// checksum in .gnu_debuglink. Thread context.
#pragma once

#include <memory>
#include <string>

#include <nmi/symbols/elf_file.hpp>

namespace nmircu::command {

// Null if there is none that is certainly the object's own. `path`: the object's; `root`: usually
// /usr/lib/debug.
std::unique_ptr<elf_file> find_debug_file(const elf_file& object, const std::string& path,
                                          const std::string& root);

}  // namespace nmircu::command
