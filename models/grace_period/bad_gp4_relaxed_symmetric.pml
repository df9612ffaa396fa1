// SPDX-License-Identifier: MIT
//
// [GP-4] relaxed, readers in the shared slot: as bad_gp4_gp7_relaxed.pml. That the counts are
// read-modify-writes and the readers fence is of no help: the scan is what is out of order.
//
// Must fail: !(freed[seen])
#define SYMMETRIC
#define GP4_GP7_RELAXED
#include "model.pml"
