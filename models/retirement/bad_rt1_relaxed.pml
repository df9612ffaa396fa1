// SPDX-License-Identifier: MIT
//
// [RT-1] relaxed: an object may be in a list before its count and its link are visible.
//
// The handler has pushed object 2, and it says so. B looks for the backlog: nothing is counted,
// nothing reclaimed, so it takes rcu_barrier to be done; object 2 waits.
//
// Must fail: !(wants[2])||effect[2]
#define HANDLER
#define RT1_RELAXED
#include "model.pml"
