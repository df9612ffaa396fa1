// SPDX-License-Identifier: MIT
//
// The table of calls that retired what now waits; see retire_calls.hpp. Any context.
#include "rcu/retire_calls.hpp"

#include <nmircu/detail/misuse.hpp>

namespace nmircu::rcu {

retire_calls noted_calls;

const void* retire_calls::note(const void* object, const void* caller) noexcept {
    const auto wanted = reinterpret_cast<std::uintptr_t>(object);
    entry* free = nullptr;
    for (std::uintptr_t distance = 0; distance < neighbourhood; ++distance) {
        entry& each = place(object, distance);
        // Relaxed: whoever reuses the memory knows that its deleter ran, after it was forgotten.
        const std::uintptr_t found = each.object.load(std::memory_order_relaxed);
        if (found == wanted) {
            const void* const first = each.caller.load(std::memory_order_relaxed);
            return first != nullptr ? first : caller;  // interrupted, or raced, while it was noted
        }
        if (found == 0 && free == nullptr) free = &each;
    }
    // Relaxed, all three: ordered before the reclaimer's look by [RT-1].
    used_.store(true, std::memory_order_relaxed);
    std::uintptr_t nobody = 0;
    if (free != nullptr &&
        free->object.compare_exchange_strong(nobody, wanted, std::memory_order_relaxed,
                                             std::memory_order_relaxed)) {
        free->caller.store(caller, std::memory_order_relaxed);
    }
    return nullptr;
}

void retire_calls::forget(const void* object) noexcept {
    for (std::uintptr_t distance = 0; distance < neighbourhood; ++distance) {
        entry& each = place(object, distance);
        // Relaxed, all three: the object is the caller's alone.
        if (each.object.load(std::memory_order_relaxed) ==
            reinterpret_cast<std::uintptr_t>(object)) {
            each.caller.store(nullptr, std::memory_order_relaxed);
            each.object.store(0, std::memory_order_relaxed);
        }
    }
}

// There is one thread: relaxed throughout.
void retire_calls::forget_all() noexcept {
    if (!used()) return;
    for (entry& each : entries_) {
        if (each.object.load(std::memory_order_relaxed) == 0) continue;
        each.caller.store(nullptr, std::memory_order_relaxed);
        each.object.store(0, std::memory_order_relaxed);
    }
}

}  // namespace nmircu::rcu

namespace nmircu::detail {

void note_retired(const void* object, const void* caller) noexcept {
    if (rcu::is_in_first_page(object)) [[unlikely]]
        report_null_object(caller);
    const void* const first = rcu::noted_calls.note(object, caller);
    if (first != nullptr) report_retired_twice(object, first, caller);
}

void forget_retired(const void* object) noexcept {
    rcu::noted_calls.forget(object);
}

}  // namespace nmircu::detail
