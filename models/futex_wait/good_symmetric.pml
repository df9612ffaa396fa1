// SPDX-License-Identifier: MIT
//
// What we ship where there is no process-wide barrier: two readers that leave the same phase.
#define SYMMETRIC
#define READERS 2
#include "model.pml"
