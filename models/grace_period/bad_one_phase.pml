// SPDX-License-Identifier: MIT
//
// The wait for the phase other than the current one left out: only the phase that the flip retires
// is waited for.
//
// During the first grace period the barrier has reached CPU 1 already when reader B, there, loads
// phase 0, counts itself and loads the pointer to object 1. The first grace period need not wait
// for B; it ends and leaves phase 1 behind as the current one. The second replaces object 1 and
// waits for phase 1 alone, where nobody is; B is in phase 0. Object 1 is freed under B.
//
// Must fail: !(freed[seen])
#define ONE_PHASE
#define GRACE_PERIODS 2
#include "model.pml"
