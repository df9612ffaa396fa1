// SPDX-License-Identifier: MIT
//
// How large a machine the image is laid out for. Constants only.
#pragma once

namespace nmircu::platform {

// Rows of every per-CPU table, which all lie in the image's .bss.
inline constexpr unsigned max_cpus = 64;

}  // namespace nmircu::platform
