// SPDX-License-Identifier: MIT
//
// [RT-2] relaxed, on a CPU that may answer a dependent load with what was there before (see
// ../dependent_load/).
//
// The cycle takes the list: object 2, then 1. It loads the link of 2 and finds what stood there
// before the push: nothing. Object 1 is in no list any more and is never reclaimed.
//
// Must fail: effect[
#define HANDLER
#define RT2_RELAXED
#include "model.pml"
