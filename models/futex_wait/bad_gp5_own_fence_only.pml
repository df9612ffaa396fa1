// SPDX-License-Identifier: MIT
//
// [GP-5] as a fence of the updater's own, while readers rely on a process-wide barrier.
//
// The reader's exit waits in its store buffer, and it loads `waiting`: 0, so it rings nobody. The
// updater announces itself, fences, scans: the exit is not visible yet. It sleeps; the exit becomes
// visible; nobody wakes the updater.
//
// Must fail: !(asleep)
#define GP5_OWN_FENCE_ONLY
#include "model.pml"
