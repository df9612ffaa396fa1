// SPDX-License-Identifier: MIT
//
// A push by a plain load and store.
//
// Thread A has loaded the head: empty. The handler pushes object 2 and returns. A stores its own
// object as the head, and the link says that nothing follows: object 2 is lost. If the list was
// taken in between, an object is reclaimed twice.
//
// Must fail: deleted[taken[0]]
#define HANDLER
#define PUSH_NOT_ATOMIC
#include "model.pml"
