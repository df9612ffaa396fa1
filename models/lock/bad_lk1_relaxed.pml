// SPDX-License-Identifier: MIT
//
// [LK-1] relaxed: a load of the section may be done before the lock is taken. Thread 0 has loaded
// the value, 0, early; thread 1 takes the lock, adds one, releases; thread 0 takes the lock and
// stores 1 over 1.
//
// Must fail: (value+given_up)==((2+1)+1)
#define LK1_RELAXED
#include "model.pml"
