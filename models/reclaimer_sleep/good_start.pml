// SPDX-License-Identifier: MIT
//
// What we ship: the engine starts while the reclaimer falls asleep and a thread retires.
#define STARTS
#include "model.pml"
