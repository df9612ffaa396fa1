// SPDX-License-Identifier: MIT
//
// What a platform calls in the layers above it when the program starts and when it forks.
#pragma once

namespace nmircu::detail {

enum class barrier_choice { best, symmetric };

// Thread context, once, early; readers may run already. symmetric: do not even try the cheap
// reader.
void start_engine(barrier_choice choice) noexcept;

// In the child of a fork, all signals blocked, before anything else runs.
void engine_forked() noexcept;
void dispatch_forked() noexcept;

}  // namespace nmircu::detail
