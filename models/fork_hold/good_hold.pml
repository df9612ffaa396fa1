// SPDX-License-Identifier: MIT
//
// What we ship.
#include "model.pml"
