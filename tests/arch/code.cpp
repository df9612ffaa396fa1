// SPDX-License-Identifier: MIT
//
// Functions whose generated code code_test.py looks at.
#include <nmircu/kernel_api.h>
#include <nmircu/rcu.hpp>

namespace {
struct object {
    int value;
};
}  // namespace

extern "C" {

// ---- to be accepted

object* dereference(const std::atomic<object*>& pointer) {
    return nmircu::rcu_dereference(pointer);
}

// The kernel's spelling, on a pointer that is not atomic; what C's macro expands to.
object* dereference_plain(object* const& pointer) {
    return rcu_dereference(pointer);
}

void section() {
    nmircu::detail::enter_section();
    nmircu::detail::exit_section();
}

// ---- to be rejected

object* plain(const std::atomic<object*>& pointer) {
    return pointer.load(std::memory_order_relaxed);
}

object* acquire(const std::atomic<object*>& pointer) {
    return pointer.load(std::memory_order_acquire);
}

object* fenced(const std::atomic<object*>& pointer) {
    object* const value = pointer.load(std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return value;
}

object* loaded_twice(const std::atomic<object*>& pointer) {
    object* const value = nmircu::rcu_dereference(pointer);
    return value != nullptr ? nmircu::rcu_dereference(pointer) : nullptr;
}

void fenced_section() {
    nmircu::detail::enter_section();
    std::atomic_thread_fence(std::memory_order_seq_cst);
    nmircu::detail::exit_section();
}

void counting_section(std::atomic<long>& count) {
    nmircu::detail::enter_section();
    count.fetch_add(1, std::memory_order_relaxed);
    nmircu::detail::exit_section();
}

}  // extern "C"
