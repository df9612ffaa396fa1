// SPDX-License-Identifier: MIT
//
// [DW-3] relaxed: a handler may find its item queued while its event still waits in its store buffer.
//
// The other handler has queued item 1. This one finds it so and relies on the run to come. The function
// runs; only then the event becomes visible: nobody looks at it.
//
// Must fail: seen[0]&&seen[1]
#define DW3_RELAXED
#include "model.pml"
