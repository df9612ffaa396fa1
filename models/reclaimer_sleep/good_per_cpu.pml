// SPDX-License-Identifier: MIT
//
// What we ship: two threads that retire per CPU.
#define RETIRERS 2
#include "model.pml"
