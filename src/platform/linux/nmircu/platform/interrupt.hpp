// SPDX-License-Identifier: MIT
//
// What a dispatcher asks the platform about the interrupt it is in. Context: nmi.
#pragma once

#include <nmircu/nmi.hpp>

namespace nmircu::platform {

// Whose interrupt it is: local if one of this library's sources raised it.
[[nodiscard]] nmi_type interrupt_type(const pt_regs* regs) noexcept;

// Arranges that whoever owned the interrupt before us gets it once the dispatch is over, outside
// the read-side section (a signal handler of the program's may longjmp away). False: no owner.
[[nodiscard]] bool hand_to_previous_owner(pt_regs* regs) noexcept;

}  // namespace nmircu::platform
