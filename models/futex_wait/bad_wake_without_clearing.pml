// SPDX-License-Identifier: MIT
//
// A ringing reader that leaves `waiting` as it is instead of exchanging it for 0.
//
// The updater has announced itself, scanned, and is about to sleep. The reader leaves, sees the
// announcement and wakes everybody: nobody sleeps yet. The kernel compares: `waiting` is what it
// was, so the updater sleeps for ever. With the exchange, the kernel finds 0 and returns at once.
//
// Must fail: !(asleep)
#define WAKE_WITHOUT_CLEARING
#include "model.pml"
