// SPDX-License-Identifier: MIT
//
// A grace period that does not end: whom it waits for, told after each stall limit, and that it has
// ended at last. Thread context; the caller holds engine.updaters. Who may be told, and how, is
// nmircu/rcu_stall.hpp.
#pragma once

#include "rcu/engine.hpp"

namespace nmircu::rcu {

// One grace period's. Costs nothing before `begin`.
class stall_watch {
  public:
    // The wait begins; again: nothing.
    void begin() noexcept;

    [[nodiscard]] std::uint64_t waited_ns() const noexcept;
    // When the next report is due, in terms of waited_ns.
    [[nodiscard]] std::uint64_t due_ns() const noexcept { return due_ns_; }
    // That `phase` is not drained.
    void report_locked(const detail::domain_state& domain, std::uint32_t phase) noexcept;
    // That it has ended, if it was reported.
    void report_end_locked() const noexcept;

  private:
    std::uint64_t started_ns_ = 0;
    std::uint64_t limit_ns_ = 0;
    std::uint64_t due_ns_ = 0;
    bool reported_ = false;
};

// In a forked child.
void forget_stall_setting() noexcept;

}  // namespace nmircu::rcu
