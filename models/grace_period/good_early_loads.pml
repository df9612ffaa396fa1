// SPDX-License-Identifier: MIT
//
// What we ship, on a CPU that also loads the pointer before its turn: two readers, two grace
// periods.
#define EARLY_LOADS
#define GRACE_PERIODS 2
#define CHECK_I1
#include "model.pml"
