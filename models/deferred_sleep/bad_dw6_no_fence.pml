// SPDX-License-Identifier: MIT
//
// [DW-6] absent: the queuer's look at `asleep` may be done before its push. (Not on x86, where the push
// is a full barrier.)
//
// The queuer has looked: nobody sleeps. The thread announces itself, fences, looks at the queue: empty.
// It sleeps; the item is pushed; nobody wakes it.
//
// Must fail: pushed==0
#define DW6_NO_FENCE
#include "model.pml"
