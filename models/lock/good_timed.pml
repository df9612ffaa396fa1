// SPDX-License-Identifier: MIT
//
// What we ship with a deadline: two of the threads may give up.
#define TIMED
#include "model.pml"
