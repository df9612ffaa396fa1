// SPDX-License-Identifier: MIT
//
// [PUB-2] without the empty asm: the compiler may guess that the pointer will be NEW (from a
// profile, say), load the data behind the guess first, and only then load the pointer and compare.
// The language allows it, for a relaxed load.
//
// The reader loads the data behind NEW: uninitialised. The updater initialises it and publishes.
// The reader loads the pointer: NEW, the guess was right; it uses the uninitialised data.
//
// Must fail: data
#define GUESSES
#include "model.pml"
