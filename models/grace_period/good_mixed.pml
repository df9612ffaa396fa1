// SPDX-License-Identifier: MIT
//
// What we ship where some readers count per CPU and some in the shared slot, chosen anew at each
// enter and each exit (a thread whose first section is interrupted by a handler that finds the
// per-CPU way, or a CPU number out of range); one migration.
#define MIXED
#define MIGRATIONS 1
#define CHECK_I1
#include "model.pml"
