// SPDX-License-Identifier: MIT
//
// What we ship: two readers of two sections each, one grace period.
#define SECTIONS 2
#define CHECK_I1
#include "model.pml"
