// SPDX-License-Identifier: MIT
//
// Stopping CPU 0 before an instruction, once, by a debug register (SDM volume 3, section 18.2),
// with a return from #DB that lets NMIs in: debug_gate.S. Thread context, where nothing else is
// said.
#pragma once

#include <cstdint>

namespace nmircu::baremetal {

// Called when the instruction is about to be executed. Any context: GS may be anybody's, and the
// stack is its own. The return from it ends any NMI as far as the processor is concerned.
using at_stop_t = void (*)();

// The address need not be one that an instruction begins at: then nothing happens. One at a time.
void stop_before(std::uintptr_t address, at_stop_t at_stop) noexcept;
// Takes the breakpoint away, and gives vector 1 back to the image. Whether it was hit.
bool stop_nowhere() noexcept;

// Has the processor mask NMIs, as inside one, until an IRET is executed: let_nmis_in does that, and
// a stop does. NMIs that arrive meanwhile are one afterwards. IRQs must be masked: their end is an
// IRET.
void mask_nmis() noexcept;
extern "C" void let_nmis_in() noexcept;

}  // namespace nmircu::baremetal
