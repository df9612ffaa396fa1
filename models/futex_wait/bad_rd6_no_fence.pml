// SPDX-License-Identifier: MIT
//
// [RD-6] absent, in the symmetric mode: the load of `waiting` may be done before the exit is
// counted.
//
// The reader has loaded `waiting` early: 0. The updater announces itself, fences, scans: the reader
// is inside. It sleeps. The reader's exit is counted; it trusts its early load and rings nobody.
//
// Must fail: !(asleep)
#define SYMMETRIC
#define READERS 2
#define RD6_NO_FENCE
#include "model.pml"
