// SPDX-License-Identifier: MIT
//
// Names as they are in the source, from names as linkers know them. Thread context; not from
// several threads at once.
#pragma once

#include <string>

namespace nmircu::command {

// The C++ or Rust (either scheme) name behind a mangled one, without Rust's hash and without the
// version a linker put after it ("@@GLIBC_2.34"); anything else as it is. Names come from files
// that are not trusted: time and size are bounded.
std::string demangle(const std::string& name);

}  // namespace nmircu::command
