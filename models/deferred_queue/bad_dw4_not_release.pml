// SPDX-License-Identifier: MIT
//
// [DW-4] without release: the item's link may be read after the item is free to be queued.
//
// The batch is item 1 and then item 2. Item 1 is freed; a handler queues it again and writes its link:
// nothing is queued. The thread reads that for the rest of its batch. Item 2 never runs.
//
// Must fail: seen[0]&&seen[1]
#define DW4_NOT_RELEASE
#include "model.pml"
