// SPDX-License-Identifier: MIT
//
// [GP-4] and [GP-7] relaxed: the loads of the enters may be done before those of the exits.
//
// Reader A is counted and holds the old pointer: E = 1 when the scan loads the enters. Reader B
// enters and leaves; the scan loads the exits: X = 1, B's. E == X, although A is inside. The old
// object is freed under A. With the exits first, B's exit is never counted without its enter, and
// A's enter is seen since the barrier: E > X.
//
// Must fail: !(freed[seen])
#define GP4_GP7_RELAXED
#include "model.pml"
