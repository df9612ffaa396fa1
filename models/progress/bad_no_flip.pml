// SPDX-License-Identifier: MIT
//
// No flip. New readers go on counting in the phase waited for: one enters before the other leaves,
// for ever, and its count is never seen to be zero. Safety is not at stake, so this is no failed
// assertion but a cycle without progress.
//
// Must fail: non-progress cycle
#define NO_FLIP
#include "model.pml"
