// SPDX-License-Identifier: MIT
//
// [LK-4] relaxed: as bad_lk2_relaxed.pml, in acquire_within.
//
// Must fail: (value+given_up)==((2+1)+1)
#define TIMED
#define LK4_RELAXED
#include "model.pml"
