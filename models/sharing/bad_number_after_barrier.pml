// SPDX-License-Identifier: MIT
//
// The odd number stored after the barrier [GP-2] instead of before it.
//
// Updater B's barrier has passed and its scan found nobody, but the number is still 0. The reader
// enters and sees A's object. A withdraws it, loads 0, and takes 2 to be enough. B ends its grace
// period: 2. A waits for nobody and frees its object under the reader.
//
// Must fail: seen[0]&&freed[0]
#define NUMBER_AFTER_BARRIER
#include "model.pml"
