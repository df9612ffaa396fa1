// SPDX-License-Identifier: MIT
//
// Whether a sanitizer watches the translation unit, and what it needs to be told.
#pragma once

#include <atomic>

namespace nmircu::detail {

#if defined(__SANITIZE_THREAD__)
inline constexpr bool under_thread_sanitizer = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
inline constexpr bool under_thread_sanitizer = true;
#else
inline constexpr bool under_thread_sanitizer = false;
#endif
#else
inline constexpr bool under_thread_sanitizer = false;
#endif

// The order of the load in rcu_dereference. Relaxed is enough for a CPU that respects address
// dependencies; ThreadSanitizer does not know about those.
inline constexpr std::memory_order dereference_order =
    under_thread_sanitizer ? std::memory_order_acquire : std::memory_order_relaxed;

}  // namespace nmircu::detail
