// SPDX-License-Identifier: MIT
//
// [FG-3] absent: the fork may look before its announcement is visible. It has looked early: no
// deleters run. The reclaimer announces itself, looks for forks: none. The fork copies in the
// middle of a deleter.
//
// Must fail: copied==second
#define FG3_NO_FENCE
#include "model.pml"
