// SPDX-License-Identifier: MIT
//
// [GP-10] absent, in the symmetric mode: the publication still waits in the updater's store buffer
// when the scan is made.
//
// The scan finds nobody. A reader counts itself, fences, and loads the pointer, still the old one.
// The publication drains, the object is freed, the reader uses it. One half of store buffering is
// enough: the reader's fence alone does not help.
//
// Must fail: !(freed[seen])
#define SYMMETRIC
#define READERS 1
#define GP10_NO_FENCE
#include "model.pml"
