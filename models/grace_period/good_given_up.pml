// SPDX-License-Identifier: MIT
//
// What we ship with a deadline: the updater may give up a grace period anywhere in its wait and
// begin another, which proves everything anew.
#define GIVE_UPS 1
#define GRACE_PERIODS 2
#define CHECK_I1
#include "model.pml"
