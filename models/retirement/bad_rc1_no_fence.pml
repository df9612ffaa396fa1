// SPDX-License-Identifier: MIT
//
// [RC-1] absent: a cycle may look at the lists before its number is visible.
//
// A cycle looks at a list: empty. Thread A pushes object 1. B, who knows of it, loads the number of
// the last cycle, which is still the old one, and takes the cycle that is running to be the next.
// It ends; rcu_barrier returns; object 1 waits.
//
// Must fail: effect[
#define HANDLER
#define RC1_NO_FENCE
#include "model.pml"
