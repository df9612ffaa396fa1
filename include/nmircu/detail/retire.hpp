// SPDX-License-Identifier: MIT
//
// What a retired object carries, and the library's end of retiring it. Not part of the public
// interface, except for the name rcu_head.
#pragma once

#include <nmircu/arch/cpu.hpp>
#include <nmircu/detail/misuse.hpp>

#pragma GCC visibility push(default)

namespace nmircu {

// Lives in an object that will be retired. Two words; their contents are the library's.
struct rcu_head {
    rcu_head* next = nullptr;
    void (*function)(rcu_head*) = nullptr;
};

namespace detail {

// Context: thread, signal, irq, nmi. See rcu_obj_base::retire.
void retire(rcu_head& head, void (*function)(rcu_head*)) noexcept;

[[gnu::always_inline]] inline void retire_here(rcu_head& head,
                                               void (*function)(rcu_head*)) noexcept {
    if constexpr (checks_misuse) note_retired(&head, arch::code_address());
    retire(head, function);
}

}  // namespace detail

}  // namespace nmircu

#pragma GCC visibility pop
