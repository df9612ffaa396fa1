// SPDX-License-Identifier: MIT
//
// The IRQ vectors of user space: signals behind a soft mask. What the layers above see of them is
// in nmircu/platform/irq_line.hpp and irq_mask.hpp.
#pragma once

namespace nmircu::platform {

// In a forked child, all signals blocked: what was kept back was the parent's.
void forget_kept_interrupts() noexcept;

}  // namespace nmircu::platform
