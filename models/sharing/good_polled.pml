// SPDX-License-Identifier: MIT
//
// What we ship: a caller that asks whether its grace period has passed.
#define POLLS
#include "model.pml"
