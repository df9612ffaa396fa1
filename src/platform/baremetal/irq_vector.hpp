// SPDX-License-Identifier: MIT
//
// Who takes exceptions.
#pragma once

struct pt_regs;

namespace nmircu::baremetal {

// Returns if the interrupted code is to go on, with the registers as they are then. Context: that
// of the exception; in an NMI handler, nmi.
using exception_t = void (*)(pt_regs* regs);
// Once, before there can be any.
void set_exception_handler(exception_t function) noexcept;

}  // namespace nmircu::baremetal
