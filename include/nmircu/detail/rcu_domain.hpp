// SPDX-License-Identifier: MIT
//
// The class of the draft's [saferecl.rcu.domain], for the public headers that share it.
#pragma once

#include <nmircu/detail/reader.hpp>

#pragma GCC visibility push(default)

namespace nmircu {

// A domain of read-side critical sections. [saferecl.rcu.domain]
// There is one; users cannot make or copy another.
class rcu_domain {
  public:
    rcu_domain(const rcu_domain&) = delete;
    rcu_domain& operator=(const rcu_domain&) = delete;

    // Enters a section. Context: thread, signal, irq, nmi. Never blocks, never allocates, may
    // interrupt itself. About 1 ns on a thread with a registered rseq area.
    [[gnu::always_inline]] void lock() noexcept { detail::enter_section(); }
    // As lock; always succeeds. Context: as lock.
    [[gnu::always_inline]] bool try_lock() noexcept {
        detail::enter_section();
        return true;
    }
    // Leaves the section that the innermost unmatched lock on this thread entered. Context: as
    // lock. It may wake a waiting updater, which is one system call; errno is preserved.
    [[gnu::always_inline]] void unlock() noexcept { detail::exit_section(); }

  private:
    constexpr rcu_domain() noexcept = default;
};

// The domain every function here works on. Context: thread, signal, irq, nmi.
[[nodiscard, gnu::always_inline]] NMIRCU_NO_SANITIZE_NULL inline rcu_domain&
rcu_default_domain() noexcept {
    // It has no state of its own: readers find theirs through the thread. Its address is that of
    // the counts behind it, and whoever does not look at it does not load it.
    return reinterpret_cast<rcu_domain&>(*platform::this_reader().domain);
}

}  // namespace nmircu

#pragma GCC visibility pop
