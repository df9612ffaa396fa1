// SPDX-License-Identifier: MIT
//
// The handlers of one interrupt type: an immutable array, published whole. Dispatch walks it inside
// a read-side section; updates are in registration.cpp.
#pragma once

#include <nmircu/nmi.hpp>

namespace nmircu::interrupt {

struct chain_entry {
    nmi_handler_t function;
    void* cookie;
    const char* name;
    unsigned id;  // row of handler_table.hpp
};

struct chain {
    unsigned count;
    chain_entry entries[most_nmi_handlers];
};

// Null: no handler of that type.
extern constinit std::atomic<const chain*> chains[nmi_type_count];

}  // namespace nmircu::interrupt
