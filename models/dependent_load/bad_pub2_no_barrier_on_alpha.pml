// SPDX-License-Identifier: MIT
//
// [PUB-2] without its barrier, on Alpha.
//
// The updater initialises the data and publishes the pointer, in this order, and both invalidations
// are queued at the reader's CPU. The pointer's bank processes its own; the reader loads the new
// pointer. The data's bank has not yet processed its own; the reader loads the data, uninitialised,
// although the address came from the load before. This is the documents' quick quiz: the handler is
// called with the data it had before it was set up.
//
// Must fail: pointer_is_new
#define NO_BARRIER
#include "model.pml"
