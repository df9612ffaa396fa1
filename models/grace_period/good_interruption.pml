// SPDX-License-Identifier: MIT
//
// What we ship: a reader of two sections, interrupted at any two steps by a handler that is a
// reader; two grace periods.
#define READERS 1
#define SECTIONS 2
#define INTERRUPTIONS 2
#define GRACE_PERIODS 2
#define CHECK_I1
#include "model.pml"
