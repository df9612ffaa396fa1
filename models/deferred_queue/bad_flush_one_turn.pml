// SPDX-License-Identifier: MIT
//
// A flush that takes one turn and does not look whether its item is still claimed.
//
// One handler is between its claim and its push. The other finds the item queued and returns. The flush
// finds an empty queue and returns too: the run that was asked for is still to come.
//
// Must fail: seen[1]
#define FLUSH_ONE_TURN
#include "model.pml"
