// SPDX-License-Identifier: MIT
//
// A list taken by a plain load and store. An object that is pushed between the two is in no list
// any more and is never reclaimed.
//
// Must fail: effect[
#define HANDLER
#define TAKE_NOT_ATOMIC
#include "model.pml"
