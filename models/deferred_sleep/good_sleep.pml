// SPDX-License-Identifier: MIT
//
// What we ship: three handlers that queue an item each.
#include "model.pml"
