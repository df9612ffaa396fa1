// SPDX-License-Identifier: MIT
//
// What we ship: the handlers have been removed; their items are flushed; their code goes.
#define UNLOAD
#include "model.pml"
