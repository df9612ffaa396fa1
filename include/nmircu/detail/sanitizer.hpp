// SPDX-License-Identifier: MIT
//
// Whether a sanitizer watches the translation unit, and what it needs to be told.
#pragma once

#include <atomic>

// For functions that inline an access to our thread-local record. With -fsanitize=undefined, GCC 12
// checks the record's address with the flags of an addition that the linker then relaxes to a lea,
// which sets none: it would report, now and then, that the record is a null pointer. Alignment too:
// one check does both, and where it is inlined, the caller's flags say which.
#define NMIRCU_NO_SANITIZE_NULL __attribute__((no_sanitize("null", "alignment")))

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
