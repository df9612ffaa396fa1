// SPDX-License-Identifier: MIT
//
// [GP-2] as a fence of the updater's own, while readers rely on a process-wide barrier.
//
// A reader counts itself, and the count waits in its CPU's store buffer; it loads the old pointer.
// The updater publishes the new one, fences, scans: no count is visible, both phases are drained.
// It frees the old object, which the reader then uses.
//
// Must fail: !(freed[seen])
#define READERS 1
#define GP2_OWN_FENCE_ONLY
#include "model.pml"
