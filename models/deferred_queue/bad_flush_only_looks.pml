// SPDX-License-Identifier: MIT
//
// A flush that waits until its item is not queued any more, without a turn of its own. The function has
// begun, so the item is free; the flush returns, and the code is unloaded under the function.
//
// Must fail: !(unloaded)
#define UNLOAD
#define FLUSH_ONLY_LOOKS
#include "model.pml"
