// SPDX-License-Identifier: MIT
//
// The IRQ vectors of user space: signals behind a soft mask. What the layers above see of them is
// in nmircu/platform/irq_line.hpp and irq_mask.hpp.
#pragma once

#include <cstdint>

namespace nmircu::platform {

// In a forked child, all signals blocked: what was kept back was the parent's.
void forget_kept_interrupts() noexcept;

// Whether the calling thread has IRQs masked; then the end of the region is counted at `ended`, as
// it is if an interrupt was kept back. `depth`: where the thread's depth of masking is. Both words
// go with the thread. Context: nmi.
bool mark_masked_region(const std::uint32_t*& depth, const std::uint32_t*& ended) noexcept;

}  // namespace nmircu::platform
