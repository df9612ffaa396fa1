// SPDX-License-Identifier: MIT
//
// No look at the queue between the announcement and the sleep. An item that was pushed after the
// thread took its batch, and whose queuer found no announcement yet, waits for the next one.
//
// Must fail: pushed==0
#define NO_SECOND_LOOK
#include "model.pml"
