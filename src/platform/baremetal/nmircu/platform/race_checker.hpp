// SPDX-License-Identifier: MIT
//
// What is said to a race checker that watches the program: there is none on the bare machine.
// Context: any.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nmircu::platform {

[[nodiscard]] constexpr bool is_watched() noexcept {
    return false;
}
[[nodiscard]] constexpr bool is_watched_blindly() noexcept {
    return false;
}
inline void order_before(const void*) noexcept {}
inline void order_after(const void*) noexcept {}
inline void say_order_before(const void*) noexcept {}
inline void say_order_after(const void*) noexcept {}
inline void say_unchecked(const void*, std::size_t) noexcept {}
template <class T>
inline void leave_unchecked(const T&) noexcept {}

}  // namespace nmircu::platform
