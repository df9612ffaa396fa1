// SPDX-License-Identifier: MIT
//
// [RC-11] without the lock: the mode may be loaded before the announcement is made, and then
// change. (Not on x86, where the announcement is a full barrier.)
//
// The reclaimer finds that the engine has not started, so a fence of its own will do. The engine
// starts. A retirer finds it started, does without a fence, and looks at `attention` before its
// push is done: nothing. The reclaimer announces itself, fences, looks at the lists: empty. It
// sleeps; the object is pushed; nobody wakes it.
//
// Must fail: (listed==0)&&(wishes==0)
#define STARTS
#define BARRIER_WITHOUT_LOCK
#include "model.pml"
