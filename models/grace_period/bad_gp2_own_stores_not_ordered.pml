// SPDX-License-Identifier: MIT
//
// [GP-2] as a barrier on every CPU but the updater's: the publication of the new pointer still
// waits in the updater's store buffer when the scan is made.
//
// The barrier has passed and the scan has found nobody. A reader enters and loads the pointer,
// which is still the old one; the updater frees the old object; the reader uses it.
//
// Must fail: !(freed[seen])
#define READERS 1
#define GP10_NO_FENCE
#include "model.pml"
