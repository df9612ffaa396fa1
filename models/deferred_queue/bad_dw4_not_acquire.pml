// SPDX-License-Identifier: MIT
//
// [DW-4] without acquire: the function may have looked at the events before the item is free to be
// queued.
//
// Its looks are done; a handler has an event, finds the item queued, and relies on this run. The item is
// freed, the function goes by what it saw.
//
// Must fail: seen[0]&&seen[1]
#define DW4_NOT_ACQUIRE
#include "model.pml"
