// SPDX-License-Identifier: MIT
//
// Updaters of every kind: each takes elements out of the structure and, grace period by grace
// period, guides them down the pipe.
#pragma once

#include "kinds.hpp"
#include "stage.hpp"

namespace torture {

// Elements grow old before the grace period instead of after it. Before the first updater.
void free_early();

// Updates until the stage has ended. Thread context.
void run_updater(updater kind, dice chance);

// Replaces the element and retires the old one, which retires itself again until the end of the
// pipe. False: the pool was empty. Any context.
bool retire_one(updater kind) noexcept;

}  // namespace torture
