// SPDX-License-Identifier: MIT
//
// How the image ends: the last line on the console, and the emulator's exit status.
#pragma once

namespace nmircu::baremetal {

// `PASS name text`; exit status 33. Any context.
[[noreturn]] void end_with_success(const char* name, const char* text) noexcept;
// `FAIL name: reason`; exit status 35. Any context.
[[noreturn]] void end_with_failure(const char* name, const char* reason) noexcept;
// Nothing more is printed; EXIT_* of layout.h. Without isa-debug-exit the CPU halts. Any context.
[[noreturn]] void power_off(unsigned status) noexcept;

}  // namespace nmircu::baremetal
