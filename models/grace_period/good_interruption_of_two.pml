// SPDX-License-Identifier: MIT
//
// What we ship: two readers, one of them interrupted at any step by a handler that is a reader.
#define INTERRUPTIONS 1
#define CHECK_I1
#include "model.pml"
