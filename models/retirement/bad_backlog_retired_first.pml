// SPDX-License-Identifier: MIT
//
// The backlog as `retired` first and `reclaimed` second, which serves well as a figure for people,
// in the place where rcu_barrier decides.
//
// B has retired object 3 and sums up the counts: the slot that thread A is about to count in is
// still 0, so the sum is 1. A retires object 1, and the reclaimer, which took its list when object
// 3 was not yet in the other, reclaims it: 1. B finds no backlog and returns; object 3 waits.
//
// Must fail: !(wants[3])
#define BACKLOG_RETIRED_FIRST
#include "model.pml"
