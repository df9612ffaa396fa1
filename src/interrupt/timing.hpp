// SPDX-License-Identifier: MIT
//
// Which dispatches are timed: docs/design/timing.md. Context: nmi, irq.
#pragma once

#include <atomic>

#include <nmircu/platform/reader.hpp>

namespace nmircu::interrupt {

// See nmi_set_timing_interval.
extern constinit std::atomic<std::uint32_t> timing_interval;

// Whether the handlers of this dispatch are timed: one in timing_interval per thread.
inline bool dispatch_is_timed(detail::reader_state& self) noexcept {
    if (--self.until_timed != 0) [[likely]]
        return false;
    // Relaxed: a setting; any of its values will do.
    const std::uint32_t interval = timing_interval.load(std::memory_order_relaxed);
    self.until_timed = interval == 0 ? 1 : interval;
    return interval != 0;
}

}  // namespace nmircu::interrupt
