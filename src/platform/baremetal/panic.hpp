// SPDX-License-Identifier: MIT
//
// The end of everything, provided by the image (baremetal/panic.cpp). Any context.
#pragma once

struct pt_regs;

namespace nmircu::baremetal {

// One line, a backtrace, and the machine is off. `regs`, if not null, are shown too, and the
// backtrace is theirs.
[[noreturn]] void panic(const char* text, const pt_regs* regs = nullptr) noexcept;

}  // namespace nmircu::baremetal
