// SPDX-License-Identifier: MIT
//
// [RD-1] absent: the compiler moves the load of the pointer above the count.
//
// The reader loads the old pointer. The updater publishes, runs its barrier on this CPU (between
// the two instructions, so it has nothing to order), scans, finds nobody, frees. The reader counts
// itself, too late, and uses what is freed.
//
// Must fail: !(freed[seen])
#define READERS 1
#define RD1_HOISTED
#include "model.pml"
