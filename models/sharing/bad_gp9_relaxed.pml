// SPDX-License-Identifier: MIT
//
// [GP-9] relaxed: what the caller loads after its grace period may be loaded before it looks at the
// number.
//
// The caller has loaded the mark in its object early: none. The reader, inside, leaves a mark and
// leaves. The grace period ends; the caller sees its number, trusts its early load, and frees the
// object without having seen the mark (a deleter that sums up what readers counted would miss
// some).
//
// Must fail: early_marks==marks
#define POLLS
#define GP9_RELAXED
#include "model.pml"
