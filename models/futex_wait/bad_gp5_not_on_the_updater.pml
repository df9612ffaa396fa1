// SPDX-License-Identifier: MIT
//
// [GP-5] as a barrier on every CPU but the updater's: the announcement still waits in its store
// buffer when the scan is made.
//
// The scan finds the reader inside. The reader leaves, its exit is visible, it loads `waiting`:
// still 0, so it rings nobody. The announcement drains, the updater sleeps for ever.
//
// Must fail: !(asleep)
#define GP5_NOT_ON_THE_UPDATER
#include "model.pml"
