// SPDX-License-Identifier: MIT
//
// No scan between the announcement and the sleep.
//
// The last scan found a reader inside. The reader leaves and loads `waiting`: 0, so it rings
// nobody. The updater announces itself and sleeps on a phase that is drained.
//
// Must fail: !(asleep)
#define NO_RESCAN
#include "model.pml"
