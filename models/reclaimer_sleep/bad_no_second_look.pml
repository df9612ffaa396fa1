// SPDX-License-Identifier: MIT
//
// No look at the lists between the announcement and the sleep. An object that was pushed after the
// first look, and whose retirer found no announcement yet, waits for ever.
//
// Must fail: (listed==0)&&(wishes==0)
#define NO_SECOND_LOOK
#include "model.pml"
