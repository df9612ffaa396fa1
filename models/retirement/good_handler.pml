// SPDX-License-Identifier: MIT
//
// What we ship: a handler that retires interrupts a retirement anywhere.
#define HANDLER
#include "model.pml"
