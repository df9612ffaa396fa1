// SPDX-License-Identifier: MIT
//
// A queuer that wakes the thread without clearing the announcement. The thread is about to sleep; the
// queuer wakes everybody: nobody sleeps yet. The kernel compares, finds the announcement as it was, and
// lets the thread sleep.
//
// Must fail: pushed==0
#define WAKE_WITHOUT_CLEARING
#include "model.pml"
