// SPDX-License-Identifier: MIT
//
// `(sequence + 2) & ~1` instead of `(sequence + 3) & ~1`: a grace period that is already running is
// taken to serve its caller.
//
// Updater B's grace period has made its barrier and found nobody: number 1. The reader enters and
// sees A's object. A withdraws it, loads 1, and takes 2 to be enough. B ends its grace period: 2. A
// waits for nobody and frees its object under the reader.
//
// Must fail: seen[0]&&freed[0]
#define A_RUNNING_ONE_IS_ENOUGH
#include "model.pml"
