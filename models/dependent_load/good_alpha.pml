// SPDX-License-Identifier: MIT
//
// What we ship on Alpha: a barrier after the load of the pointer.
#include "model.pml"
