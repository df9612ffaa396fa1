// SPDX-License-Identifier: MIT
//
// What we ship where there is no process-wide barrier: every reader counts in the shared slot and
// fences for itself; loads may be early; two grace periods.
#define SYMMETRIC
#define EARLY_LOADS
#define GRACE_PERIODS 2
#define CHECK_I1
#include "model.pml"
