// SPDX-License-Identifier: MIT
//
// What stands behind the NMI vector, and how NMIs are counted, which depends on it. The dispatcher
// (nmi.cpp) reads both in nmi context; entry.cpp changes them in thread context.
#pragma once

#include <nmircu/nmi.hpp>

#include "interrupt/per_cpu_count.hpp"

namespace nmircu::interrupt {

struct alignas(detail::slot_bytes) nmi_row {
    // The plain word is added to only while `current_entry` is null. From the first nmi_set_entry
    // on it is zero, and the shared word, which a program may increment too, is the whole count.
    count_words taken;
    // Of those whose handlers were timed.
    count_words timed;
    count_words cycles;
    std::uint64_t longest_cycles;  // atomic accesses only
};
extern nmi_row nmi_rows[detail::max_cpus];

// Who takes an NMI. Null: our own do_nmi, counting in plain words, until the first nmi_set_entry;
// then take_counted or the program's. Never null again.
extern constinit std::atomic<std::remove_pointer_t<nmi_entry_t>*> current_entry;

// Our own do_nmi, counting in shared words. Context: nmi.
void take_counted(pt_regs* regs, long error_code) noexcept;

// In a forked child, whose parent may have been in the middle of nmi_set_entry.
void entry_forked() noexcept;

}  // namespace nmircu::interrupt
