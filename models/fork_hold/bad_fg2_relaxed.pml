// SPDX-License-Identifier: MIT
//
// [FG-2] relaxed: the end of the deleters may be visible before what the last one wrote. The fork
// finds no deleters running and copies one half of its stores.
//
// Must fail: copied==second
#define FG2_RELAXED
#include "model.pml"
