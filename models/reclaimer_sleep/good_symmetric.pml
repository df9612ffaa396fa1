// SPDX-License-Identifier: MIT
//
// What we ship where there is no process-wide barrier: a thread that retires, and one that wishes.
#define SYMMETRIC
#define WISHES
#include "model.pml"
