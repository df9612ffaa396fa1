// SPDX-License-Identifier: MIT
//
// What we ship: the pointer is loaded, then what it points to.
#include "model.pml"
