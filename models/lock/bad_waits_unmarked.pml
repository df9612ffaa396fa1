// SPDX-License-Identifier: MIT
//
// A waiting thread that does not mark the lock as contended: it exchanges `held` for `held` and
// sleeps. The holder releases, finds `held`, and wakes nobody.
//
// Must fail: !(asleep[0])
#define WAITS_UNMARKED
#include "model.pml"
