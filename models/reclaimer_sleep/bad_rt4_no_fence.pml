// SPDX-License-Identifier: MIT
//
// [RT-4] absent, where there is no process-wide barrier: as bad_rc11_own_fence_only.pml.
//
// Must fail: (listed==0)&&(wishes==0)
#define SYMMETRIC
#define RT4_NO_FENCE
#include "model.pml"
