// SPDX-License-Identifier: MIT
//
// [RD-4] relaxed, in the shared slot: an access of the section may be done after the exit is
// counted. As bad_rd2_sunk.pml, by the CPU instead of the compiler.
//
// Must fail: !(freed[seen])
#define SYMMETRIC
#define READERS 1
#define RD2_SUNK
#include "model.pml"
