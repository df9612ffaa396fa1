// SPDX-License-Identifier: MIT
//
// [DW-5] absent: the thread looks at the queue while its announcement waits in its store buffer.
//
// The queue is empty. An item is pushed; its queuer finds no announcement, and wakes nobody. The
// thread's announcement becomes visible; it sleeps.
//
// Must fail: pushed==0
#define DW5_NO_FENCE
#include "model.pml"
