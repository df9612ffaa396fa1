// SPDX-License-Identifier: MIT
//
// Sending NMIs, and what is done about those that nobody sent. Any context.
#pragma once

struct pt_regs;

namespace nmircu::baremetal {

struct cpu_area;

// To one CPU, also to one's own: taken before the next instructions are, if it is not in an NMI.
void raise_nmi(cpu_area& cpu) noexcept;

// Asked in each NMI that raise_nmi has not sent, before anybody else: whether it was the machine's
// own and is done with. It may change the type, regs->error.
using unraised_nmi_t = bool (*)(pt_regs* regs);
void set_unraised_nmi(unraised_nmi_t function) noexcept;

}  // namespace nmircu::baremetal
