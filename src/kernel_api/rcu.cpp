// SPDX-License-Identifier: MIT
//
// The engine for C. Contexts are those of the functions behind it. Each checks its caller itself,
// so that messages give the program's addresses and the names the program knows.
#include <nmircu/kernel_api.h>

#include "rcu/engine.hpp"

namespace detail = nmircu::detail;
using nmircu::platform::this_reader;

// The kernel's has the same two words.
static_assert(sizeof(rcu_head) == 2 * sizeof(void*) && alignof(rcu_head) == alignof(void*));

void nmircu_rcu_read_lock() {
    detail::enter_section();
    // The section began in the caller's code, not in ours.
    detail::reader_state& self = this_reader();
    if (detail::section_of(self) < detail::nested_section) {
        self.entered_at = __builtin_return_address(0);
    }
    if constexpr (detail::checks_misuse) self.locked_at = __builtin_return_address(0);
}

void nmircu_rcu_read_unlock() {
    detail::reader_state& self = this_reader();
    if (detail::section_of(self) < detail::one_section) [[unlikely]] {
        detail::report_unlock(self, __builtin_return_address(0));
    }
    detail::exit_section();
    if constexpr (detail::checks_misuse) self.unlocked_at = __builtin_return_address(0);
}

void nmircu_synchronize_rcu() {
    nmircu::rcu::require_outside_sections(this_reader(), "synchronize_rcu",
                                          __builtin_return_address(0),
                                          "Leave the section first, or free later with kfree_rcu");
    nmircu::rcu_synchronize();
}

void nmircu_call_rcu(rcu_head* head, rcu_callback_t function) {
    if (head == nullptr || function == nullptr) [[unlikely]] {
        detail::report_null("call_rcu", __builtin_return_address(0));
    }
    nmircu::rcu_call(*head, function);
}

void nmircu_rcu_barrier() {
    nmircu::rcu::require_outside_sections(this_reader(), "rcu_barrier", __builtin_return_address(0),
                                          "Leave the section first");
    nmircu::rcu_barrier();
}

void nmircu_before_publication(const void* pointer, uintptr_t value) {
    if (!detail::publications_are_watched()) [[likely]]
        return;
    detail::before_publication(
        pointer, sizeof(void*),
        value == 0 ? detail::publication::of_nothing : detail::publication::of_something);
}
