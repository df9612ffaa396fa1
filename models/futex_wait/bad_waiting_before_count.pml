// SPDX-License-Identifier: MIT
//
// The load of `waiting` above the count in exit_section, in program order. The process-wide barrier
// comes between the two on the reader's CPU and has nothing to order: `waiting` was 0, then the
// updater announces itself, scans, sleeps, and the exit is counted without a ring.
//
// Must fail: !(asleep)
#define WAITING_BEFORE_COUNT
#include "model.pml"
