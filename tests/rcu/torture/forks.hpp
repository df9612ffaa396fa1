// SPDX-License-Identifier: MIT
//
// Forks: children that read and update on their own, while the parent goes on.
#pragma once

#include "options.hpp"
#include "stage.hpp"

namespace torture {

// Forks and awaits children until the stage has ended. Thread context.
void run_forks(const options& want, dice chance);

}  // namespace torture
