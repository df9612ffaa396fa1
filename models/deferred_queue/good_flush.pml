// SPDX-License-Identifier: MIT
//
// What we ship: a flush while others queue.
#include "model.pml"
