// SPDX-License-Identifier: MIT
//
// Lets one message a second through, and counts the others. Any context.
#pragma once

#include <atomic>
#include <cstdint>

#include <nmircu/platform/port.hpp>

namespace nmircu::interrupt {

class rate_limit {
  public:
    // Whether the caller is to speak now; then `suppressed` says for how many others, too.
    bool pass(std::uint64_t& suppressed) noexcept {
        const std::uint64_t now = platform::port::now_ns();
        // Relaxed throughout: who wins speaks, and nothing else depends on it.
        std::uint64_t next = next_ns_.load(std::memory_order_relaxed);
        if (now < next ||
            !next_ns_.compare_exchange_strong(next, now + interval_ns, std::memory_order_relaxed,
                                              std::memory_order_relaxed)) {
            suppressed_.fetch_add(1, std::memory_order_relaxed);
            return false;
        }
        suppressed = suppressed_.exchange(0, std::memory_order_relaxed);
        return true;
    }

  private:
    static constexpr std::uint64_t interval_ns = 1'000'000'000;
    std::atomic<std::uint64_t> next_ns_{0};
    std::atomic<std::uint64_t> suppressed_{0};
};

}  // namespace nmircu::interrupt
