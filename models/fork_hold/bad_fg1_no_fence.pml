// SPDX-License-Identifier: MIT
//
// [FG-1] absent: the reclaimer may look for forks before its announcement is visible.
//
// It has looked: no forks. A fork announces itself and looks: no deleters run. It copies, while the
// first deleter has done half of its work.
//
// Must fail: copied==second
#define FG1_NO_FENCE
#include "model.pml"
