// SPDX-License-Identifier: MIT
//
// Exceptions: the machine panics at one, unless somebody expects it.
#pragma once

struct pt_regs;

namespace nmircu::baremetal {

// Once, before there can be any.
void start_exceptions() noexcept;

// Asked at each exception; returns true if it was expected and the interrupted code is to go on
// with the registers as they are then. One at a time; null: nobody. Context: any, nmi included.
using exception_hook_t = bool (*)(pt_regs* regs);
void set_exception_hook(exception_hook_t function) noexcept;

}  // namespace nmircu::baremetal
