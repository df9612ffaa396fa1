// SPDX-License-Identifier: MIT
//
// What assigning a pointer says to a race checker that takes atomic accesses for plain ones. Not
// part of the public interface. Context: any.
#pragma once

#include <type_traits>

#include <nmircu/detail/sanitizer.hpp>
#include <nmircu/platform/reader.hpp>

#pragma GCC visibility push(default)

namespace nmircu::detail {

enum class publication { of_nothing, of_something };

// In src/rcu/publication.cpp.
[[gnu::cold]] void before_publication(const void* pointer, std::size_t bytes,
                                      publication what) noexcept;
[[gnu::cold]] void after_exchange() noexcept;

[[gnu::always_inline]] NMIRCU_NO_SANITIZE_NULL inline bool publications_are_watched() noexcept {
    // Relaxed: constant once the engine has started.
    return platform::this_reader().domain->watched.load(std::memory_order_relaxed) != 0;
}

template <class T>
[[gnu::always_inline]] inline void say_publication(const std::atomic<T*>& pointer,
                                                   std::type_identity_t<T>* value) noexcept {
    if (publications_are_watched()) [[unlikely]] {
        before_publication(&pointer, sizeof(pointer),
                           value == nullptr ? publication::of_nothing : publication::of_something);
    }
}
[[gnu::always_inline]] inline void say_exchange() noexcept {
    if (publications_are_watched()) [[unlikely]]
        after_exchange();
}

}  // namespace nmircu::detail

#pragma GCC visibility pop
