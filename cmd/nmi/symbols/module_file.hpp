// SPDX-License-Identifier: MIT
//
// Whether a file can be a module, found out without loading it: loading runs the file's
// constructors inside somebody else's program, and a file that is no module has no business there.
#pragma once

#include <string>

namespace nmircu::command {

// Empty if it can be; else how the sentence goes on after the file's name: "is not an ELF file; try
// ...". One line.
std::string wrong_with_module_file(const std::string& path);

}  // namespace nmircu::command
