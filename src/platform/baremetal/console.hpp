// SPDX-License-Identifier: MIT
//
// The serial console, COM1 at 115,200 baud. Whole lines from any context, also from an NMI that
// interrupted a line of its own CPU: then the two mix, but nobody waits for ever.
#pragma once

namespace nmircu::baremetal {

// Once, before anything is printed.
void start_console() noexcept;

// Prints the text and a line feed. Any context; waits for a line of another CPU, for at most about
// a second.
void print_line(const char* text) noexcept;

}  // namespace nmircu::baremetal
