// SPDX-License-Identifier: MIT
//
// A cycle that takes its objects after its grace period has begun (I7).
//
// The grace period begins; nobody is inside. The reader enters and sees object 1. Thread A
// withdraws and retires it; the cycle takes it, waits for the readers that were inside at the
// beginning, of whom there are none, and reclaims it under the reader.
//
// Must fail: sees&&deleted[1]
#define TAKE_DURING_GRACE_PERIOD
#include "model.pml"
