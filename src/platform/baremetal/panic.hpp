// SPDX-License-Identifier: MIT
//
// The end of everything, provided by the image (baremetal/panic.cpp). Any context.
#pragma once

struct pt_regs;

namespace nmircu::baremetal {

// Where that is and who called it, a line each, by frame pointers. Any context.
void show_backtrace(const pt_regs* regs) noexcept;

// One line, a backtrace, and the machine is off. `regs`, if not null, are shown too, and the
// backtrace is theirs.
[[noreturn]] void panic(const char* text, const pt_regs* regs = nullptr) noexcept;

}  // namespace nmircu::baremetal
