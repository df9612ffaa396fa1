// SPDX-License-Identifier: MIT
//
// [RD-2] absent: the compiler moves an access of the section below the count of the exit.
//
// The reader counts its exit. The updater scans: E == X, frees the object. The reader makes its
// last access.
//
// Must fail: !(freed[seen])
#define READERS 1
#define RD2_SUNK
#include "model.pml"
