// SPDX-License-Identifier: MIT
//
// [FG-4] relaxed: the copy may be made, in part, before the fork looks whether deleters run. One
// half of a deleter's stores is in it.
//
// Must fail: copied==second
#define FG4_RELAXED
#include "model.pml"
