// SPDX-License-Identifier: MIT
//
// A retirer that wakes the reclaimer without clearing the announcement. The reclaimer is about to
// sleep; the retirer wakes everybody: nobody sleeps yet. The kernel compares, finds the
// announcement as it was, and lets the reclaimer sleep.
//
// Must fail: (listed==0)&&(wishes==0)
#define WAKE_WITHOUT_CLEARING
#include "model.pml"
