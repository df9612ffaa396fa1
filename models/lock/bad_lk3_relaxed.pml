// SPDX-License-Identifier: MIT
//
// [LK-3] relaxed: a store of the section may become visible after the lock is free. Thread 0 stores
// 1, which waits in its store buffer, and releases; thread 1 takes the lock, still loads 0, and
// stores 1.
//
// Must fail: (value+given_up)==((2+1)+1)
#define LK3_RELAXED
#include "model.pml"
