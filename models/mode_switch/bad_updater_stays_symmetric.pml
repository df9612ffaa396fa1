// SPDX-License-Identifier: MIT
//
// An updater that does not learn of the switch: the reader counts itself per CPU without a fence,
// the count waits in its store buffer, and the updater's own fence does not reach it.
//
// Must fail: !(freed[seen])
#define SYMMETRIC_FOR_EVER
#include "model.pml"
