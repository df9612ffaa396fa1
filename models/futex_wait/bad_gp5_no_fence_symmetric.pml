// SPDX-License-Identifier: MIT
//
// [GP-5] absent, in the symmetric mode: as bad_gp5_not_on_the_updater.pml. The reader's fence alone
// does not help.
//
// Must fail: !(asleep)
#define SYMMETRIC
#define READERS 2
#define GP5_NOT_ON_THE_UPDATER
#include "model.pml"
