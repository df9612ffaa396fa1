// SPDX-License-Identifier: MIT
//
// [PUB-1] relaxed: the pointer may become visible before the data it points to. The reader's
// barrier is of no help.
//
// Must fail: pointer_is_new
#define PUB1_RELAXED
#include "model.pml"
