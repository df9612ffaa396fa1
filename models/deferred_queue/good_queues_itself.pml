// SPDX-License-Identifier: MIT
//
// What we ship: the function of item 1 queues it again.
#define REQUEUE
#include "model.pml"
