// SPDX-License-Identifier: MIT
//
// [LK-2] relaxed: as bad_lk1_relaxed.pml, for a thread that had to wait for the lock.
//
// Must fail: (value+given_up)==((2+1)+1)
#define LK2_RELAXED
#include "model.pml"
