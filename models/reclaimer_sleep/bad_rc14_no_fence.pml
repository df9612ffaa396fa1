// SPDX-License-Identifier: MIT
//
// [RC-14] absent, where there is no process-wide barrier: as bad_rc11_own_fence_only.pml, with a
// wish instead of an object.
//
// Must fail: (listed==0)&&(wishes==0)
#define SYMMETRIC
#define RETIRERS 0
#define WISHES
#define RC14_NO_FENCE
#include "model.pml"
