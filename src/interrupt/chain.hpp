// SPDX-License-Identifier: MIT
//
// The handlers of one vector (an NMI type, an IRQ line): an immutable array, published whole.
// Dispatch walks it inside a read-side section (chain_walk.hpp); updates are in
// handler_registry.cpp.
//
// One thing in a published array may change: a handler that leaves by itself, from inside an
// interrupt, has its function exchanged for one that declines everything.
#pragma once

#include <cstdint>

#include <nmircu/nmi.hpp>

namespace nmircu::interrupt {

// What a handler of either kind is called with: its cookie, the interrupted registers, and the CPU
// (NMI) or the line (IRQ). Returns how many events it handled.
using handler_function = int (*)(void* cookie, pt_regs* regs, int number);

inline constexpr unsigned most_handlers = 64;
static_assert(most_handlers == most_nmi_handlers);

// Its `function` stays what it was when somebody leaves; what is called does not.
struct chain_entry : detail::named_code {
    handler_function called;  // atomic accesses only
    void* cookie;
    unsigned id;  // cell of handler_counts.hpp
};

struct chain {
    const chain_entry* end;  // entries + count
    unsigned count;
    unsigned index;  // cell of handler_counts.hpp
    chain_entry entries[most_handlers];
};

// Relaxed: the array was published as a whole; a handler that has just left may be seen or not.
[[gnu::always_inline]] inline handler_function function_of(const chain_entry& entry) noexcept {
    return __atomic_load_n(&entry.called, __ATOMIC_RELAXED);
}

}  // namespace nmircu::interrupt
