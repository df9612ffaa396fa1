// SPDX-License-Identifier: MIT
//
// [RD-3] absent, in the symmetric mode: the load of the pointer may be done before the
// read-modify-write that counts the reader (x86 never does this, Arm does).
//
// The reader has loaded the old pointer early. The updater publishes, fences, scans: nobody. It
// frees. The reader's count takes effect, and it uses what is freed.
//
// Must fail: !(freed[seen])
#define SYMMETRIC
#define READERS 1
#define EARLY_LOADS
#define RD3_NO_FENCE
#include "model.pml"
