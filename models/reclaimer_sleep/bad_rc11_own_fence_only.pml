// SPDX-License-Identifier: MIT
//
// [RC-11] as a fence of the reclaimer's own, while retirers rely on a process-wide barrier.
//
// The retirer has looked at `attention` before its push was done: nothing. The reclaimer announces
// that it sleeps, fences, looks at the lists: empty. It sleeps; the object is pushed; nobody wakes
// it.
//
// Must fail: (listed==0)&&(wishes==0)
#define RC11_OWN_FENCE_ONLY
#include "model.pml"
