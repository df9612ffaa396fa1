// SPDX-License-Identifier: MIT
//
// The claim as a load and a store. Two handlers find the item free, and both push it; its second link
// leads to itself, or to what is in the queue behind it already.
//
// Must fail: !(in_queue[
#define CLAIM_NOT_ATOMIC
#include "model.pml"
