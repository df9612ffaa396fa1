// SPDX-License-Identifier: MIT
//
// What we ship: two readers, one migration at any step, two grace periods one after another.
#define MIGRATIONS 1
#define GRACE_PERIODS 2
#define CHECK_I1
#include "model.pml"
