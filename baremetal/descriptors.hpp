// SPDX-License-Identifier: MIT
//
// Each CPU's segments and task state, and everybody's interrupt descriptors.
#pragma once

namespace nmircu::baremetal {

struct cpu_area;

// Fills the table of interrupt descriptors, once.
void fill_interrupt_descriptors() noexcept;
// On each CPU: loads the GDT, the TSS, the IDT, and GS, which leads to the area from now on.
void load_descriptors(cpu_area& cpu) noexcept;

}  // namespace nmircu::baremetal
