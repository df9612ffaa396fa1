// SPDX-License-Identifier: MIT
//
// How much of Linux this library is laid out for. Constants only.
#pragma once

namespace nmircu::platform {

// Rows of every per-CPU table; untouched ones cost address space only. Linux never hands out a CPU
// number at or above the number of *possible* CPUs.
inline constexpr unsigned max_cpus = 1024;

}  // namespace nmircu::platform
