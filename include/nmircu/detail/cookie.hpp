// SPDX-License-Identifier: MIT
//
// What a typed handler is called with, an object or a function, const or not, as the one word that
// the dispatcher keeps for it; and back again. Any context.
#pragma once

#include <type_traits>

namespace nmircu::detail {

template <class T>
[[nodiscard]] inline void* to_cookie(T& target) noexcept {
    if constexpr (std::is_function_v<T>) {
        return reinterpret_cast<void*>(&target);
    } else {
        return const_cast<void*>(static_cast<const volatile void*>(__builtin_addressof(target)));
    }
}

template <class T>
[[nodiscard]] inline T& from_cookie(void* cookie) noexcept {
    if constexpr (std::is_function_v<T>) {
        return *reinterpret_cast<T*>(cookie);
    } else {
        return *static_cast<T*>(cookie);
    }
}

}  // namespace nmircu::detail
