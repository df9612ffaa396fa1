// SPDX-License-Identifier: MIT
//
// [RC-3] relaxed: the count of the reclaimed may be visible before what their deleters did.
//
// B finds no backlog and returns from rcu_barrier. The deleter's stores still wait in the
// reclaimer's store buffer; B does not see them.
//
// Must fail: effect[
#define HANDLER
#define RC3_RELAXED
#include "model.pml"
