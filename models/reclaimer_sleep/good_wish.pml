// SPDX-License-Identifier: MIT
//
// What we ship: a thread that retires per CPU, and one that wishes for a grace period.
#define WISHES
#include "model.pml"
