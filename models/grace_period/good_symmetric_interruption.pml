// SPDX-License-Identifier: MIT
//
// What we ship where there is no process-wide barrier: a reader interrupted at any two steps by a
// handler that is a reader; loads may be early; two grace periods.
#define SYMMETRIC
#define READERS 1
#define INTERRUPTIONS 2
#define EARLY_LOADS
#define GRACE_PERIODS 2
#define CHECK_I1
#include "model.pml"
