// SPDX-License-Identifier: MIT
//
// [RT-3] absent: the compiler moves the look at `attention` above the push. The reclaimer's barrier
// comes between the two and has nothing to order.
//
// Must fail: (listed==0)&&(wishes==0)
#define RT3_HOISTED
#include "model.pml"
