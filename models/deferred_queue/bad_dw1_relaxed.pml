// SPDX-License-Identifier: MIT
//
// [DW-1] relaxed: an item may be in the queue before its link is visible.
//
// Item 2 is pushed, and item 1 in front of it, whose link waits in the handler's store buffer. Who runs
// items takes both and follows 1 to where it led before: nowhere. Item 2 never runs.
//
// Must fail: seen[0]&&seen[1]
#define DW1_RELAXED
#include "model.pml"
