// SPDX-License-Identifier: MIT
//
// Another thread's reader_state, read from outside while that thread goes on. Context: thread;
// allocates nothing, disturbs nobody. Why this way: docs/design/stall.md.
#pragma once

#include <cstddef>
#include <cstdint>

#include <nmircu/detail/reader_state.hpp>
#include <nmircu/rcu_stall.hpp>

namespace nmircu::platform {

// Copies what may be copied of `bytes`; returns how much.
using copy_memory = std::size_t (*)(void* to, const void* from, std::size_t bytes);
// Of one's own thread.
std::size_t copy_own(void* to, const void* from, std::size_t bytes) noexcept;

// Takes over what a reader_state says: sections, NMIs, handlers.
void describe_reader(const detail::reader_state& state, copy_memory copy,
                     rcu_stalled_reader& out) noexcept;

enum class look_result : std::uint8_t { seen, thread_gone, impossible };

class reader_memory {
  public:
    // Finds out whether and where records can be read, on this thread's own.
    reader_memory() noexcept;

    look_result look(std::uint32_t thread, detail::reader_state& out) const noexcept;
    // A look that also takes over what it says. False: the reader is not where it was in `state`.
    bool describe(std::uint32_t thread, const detail::reader_state& state,
                  rcu_stalled_reader& out) const noexcept;

  private:
    bool usable_ = false;
    std::ptrdiff_t from_robust_list_ = 0;
};

}  // namespace nmircu::platform
