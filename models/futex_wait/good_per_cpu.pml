// SPDX-License-Identifier: MIT
//
// What we ship: three readers that count per CPU, an updater that waits for both phases.
#include "model.pml"
