// SPDX-License-Identifier: MIT
//
// [FG-5] absent: the reclaimer may look for forks before the end of its work is visible.
//
// It has looked: no forks. A fork announces itself and looks: deleters run. It sleeps. The end becomes
// visible, and nobody wakes it.
//
// Must fail: !fork_asleep
#define FG5_NO_FENCE
#include "model.pml"
