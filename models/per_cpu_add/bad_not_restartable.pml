// SPDX-License-Identifier: MIT
//
// The addition as three plain instructions, not a restartable sequence.
//
// Thread 0 has loaded the slot's value, 0. The CPU changes to thread 1, which adds one. Back on
// thread 0, 1 is stored over 1: an addition is lost.
//
// Must fail: counted[0]+counted[1]
#define NOT_RESTARTABLE
#include "model.pml"
