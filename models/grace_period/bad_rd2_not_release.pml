// SPDX-License-Identifier: MIT
//
// [RD-2] only for the compiler: per_cpu_add_release stores without release, so that on a CPU with
// unordered stores an exit may be visible before the enter of the same section.
//
// Reader A is counted and holds the old pointer. The barrier has reached CPU 1; there reader B,
// which came later, enters and leaves, and its exit drains before its enter. The scan sees X = 1
// (B's) and E = 1 (A's): equal. The object is freed under A. x86 cannot do this; Arm can.
//
// Must fail: !(freed[seen])
#define RD2_NO_RELEASE
#include "model.pml"
