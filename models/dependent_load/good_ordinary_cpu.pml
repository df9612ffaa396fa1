// SPDX-License-Identifier: MIT
//
// What we ship elsewhere: no barrier, on a CPU that respects address dependencies.
#define ONE_QUEUE
#define NO_BARRIER
#include "model.pml"
