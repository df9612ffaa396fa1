// SPDX-License-Identifier: MIT
//
// start_engine without the lock: the mode may change while a grace period is in flight.
//
// The updater finds the symmetric mode, so its barrier will be a fence of its own. Before it, the
// engine starts; a reader sees that, counts itself per CPU without a fence, and loads the old
// pointer. The updater fences and scans: the count waits in the reader's store buffer. It frees the
// object under the reader.
//
// Must fail: !(freed[seen])
#define NO_LOCK
#include "model.pml"
