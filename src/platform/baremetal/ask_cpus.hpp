// SPDX-License-Identifier: MIT
//
// Having other CPUs do something at once, in an NMI, whatever they are doing: to find out what that
// is. Such an NMI is the machine's own; no handler sees it and no count includes it.
#pragma once

#include <cstdint>

struct pt_regs;

namespace nmircu::baremetal {

struct cpu_area;

// On that CPU, in nmi context; bounded.
using question_t = void (*)(pt_regs* regs, void* argument);

// False: the CPU has not answered within that time, as it is inside an NMI for ever, or dead; it
// may do so later, and `argument` must outlive that (what it is asked next is something else).
// Another CPU than the caller's. Thread context; one question at a time, so it may wait for
// another's.
bool ask_cpu(cpu_area& cpu, question_t question, void* argument, std::uint64_t most_ns) noexcept;

// Whether the NMI was a question. Context: nmi.
bool answer_question(cpu_area& cpu, pt_regs* regs) noexcept;

}  // namespace nmircu::baremetal
