// SPDX-License-Identifier: MIT
//
// What scenarios count with, in any context.
#pragma once

#include <atomic>
#include <cstdint>

namespace nmircu::baremetal {

// A number that several CPUs and handlers change. Relaxed throughout: who waits for it looks at
// nothing but the number, or at what only its own CPU has written.
class tally {
  public:
    void add(std::uint64_t value = 1) noexcept {
        number_.fetch_add(value, std::memory_order_relaxed);
    }
    void set(std::uint64_t value) noexcept { number_.store(value, std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t get() const noexcept {
        return number_.load(std::memory_order_relaxed);
    }

  private:
    std::atomic<std::uint64_t> number_{0};
};

inline constexpr std::uint64_t second_ns = 1'000'000'000;

}  // namespace nmircu::baremetal
