// SPDX-License-Identifier: MIT
//
// [RC-4] relaxed: what the caller of rcu_barrier loads afterwards may be loaded before the count of
// the reclaimed. B has loaded what a deleter writes early; then the deleter runs and is counted; B
// finds no backlog, returns, and trusts its early load.
//
// Must fail: !(wants[3])
#define RC4_RELAXED
#include "model.pml"
