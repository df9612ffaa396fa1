// SPDX-License-Identifier: MIT
//
// What is said to a race checker that watches the program but cannot see how this library orders
// things: ThreadSanitizer in a program built with it that links a library built without, helgrind,
// DRD. Nothing is watched in a program without one, and then all of this is a load and a branch.
//
// Under a race checker readers take the out-of-line path with its full fences, where they can say
// what they do. Context: any, except where said.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nmircu::platform {

enum class race_checker : std::uint8_t { none, thread_sanitizer, helgrind, drd };

// Written once, when the library starts.
extern constinit race_checker watching;

// Thread context, before the engine starts.
void find_race_checker() noexcept;

[[nodiscard]] inline bool is_watched() noexcept {
    return watching != race_checker::none;
}
// Whether the checker takes a program's atomic accesses for plain ones.
[[nodiscard]] inline bool is_watched_blindly() noexcept {
    return watching == race_checker::helgrind || watching == race_checker::drd;
}

void say_order_before(const void* tag) noexcept;
void say_order_after(const void* tag) noexcept;
void say_unchecked(const void* start, std::size_t bytes) noexcept;

// Whatever this thread has done so far precedes what another does after its order_after(tag).
// `tag` is an address and no more; nobody reads or writes there.
inline void order_before(const void* tag) noexcept {
    if (is_watched()) [[unlikely]]
        say_order_before(tag);
}
inline void order_after(const void* tag) noexcept {
    if (is_watched()) [[unlikely]]
        say_order_after(tag);
}

// The object is accessed atomically, or under orders the checker does not know.
template <class T>
inline void leave_unchecked(const T& object) noexcept {
    if (is_watched_blindly()) [[unlikely]]
        say_unchecked(&object, sizeof(T));
}

}  // namespace nmircu::platform
