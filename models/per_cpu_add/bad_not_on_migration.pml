// SPDX-License-Identifier: MIT
//
// The addition as one instruction that no interruption on its CPU can split (`add` on x86) but that
// is not restarted when the thread has migrated since it read the CPU number.
//
// Thread 0 reads CPU 0 and migrates to CPU 1. It adds to the slot of CPU 0, at the same time as
// thread 1, which runs there: an addition is lost.
//
// Must fail: counted[0]+counted[1]
#define NOT_ON_MIGRATION
#include "model.pml"
