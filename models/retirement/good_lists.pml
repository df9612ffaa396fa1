// SPDX-License-Identifier: MIT
//
// What we ship: two threads retire, each on a CPU of its choice; one calls rcu_barrier; a reader.
#include "model.pml"
