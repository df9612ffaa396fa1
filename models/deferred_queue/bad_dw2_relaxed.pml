// SPDX-License-Identifier: MIT
//
// [DW-2] relaxed, on a CPU that may answer a dependent load with what was there before (see
// ../dependent_load/). As bad_dw1_relaxed.pml.
//
// Must fail: seen[0]&&seen[1]
#define DW2_RELAXED
#include "model.pml"
