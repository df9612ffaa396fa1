// SPDX-License-Identifier: MIT
//
// The count after the push instead of before it (I5).
//
// Object 1 is pushed, not yet counted; the reclaimer takes it and reclaims it: reclaimed = 1. The
// handler retires object 2 and counts it: retired = 1. B, who knows of object 2, finds no backlog
// and returns from rcu_barrier; object 2 waits.
//
// Must fail: !(wants[2])||effect[2]
#define HANDLER
#define COUNT_AFTER_PUSH
#include "model.pml"
