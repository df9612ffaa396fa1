// SPDX-License-Identifier: MIT
//
// What the dispatcher of NMIs and their registration share.
#pragma once

#include "interrupt/handler_registry.hpp"

namespace nmircu::interrupt {

// By type. Null: no handler was ever registered.
extern constinit std::atomic<const chain*> chains[nmi_type_count];

extern handler_row nmi_handler_rows[detail::max_cpus];
extern chain_row nmi_chain_rows[detail::max_cpus];
inline constexpr count_tables nmi_counts{nmi_handler_rows, nmi_chain_rows};

}  // namespace nmircu::interrupt
