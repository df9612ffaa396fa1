// SPDX-License-Identifier: MIT
//
// [GP-1] absent: the caller's withdrawal may still wait in its store buffer when it loads the
// number. (A process-wide barrier of the other updater would drain it; so this shows in the
// symmetric mode only.)
//
// Updater A withdraws its object, which nobody sees yet, and loads the number: 0, so 2 is enough.
// Updater B runs a grace period, 0 to 2. The reader enters and sees A's object still there. A takes
// the lock, finds 2, waits for nobody, and frees its object under the reader.
//
// Must fail: seen[0]&&freed[0]
#define GP1_NO_FENCE
#include "model.pml"
