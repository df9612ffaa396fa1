// SPDX-License-Identifier: MIT
//
// The nesting word is dropped after the count in exit_section.
//
// A handler interrupts between the two. It finds itself inside a section, so it only nests and
// counts nothing, while the exit of that section has been counted. It loads the pointer; the
// updater replaces it, scans: E == X, frees; the handler uses what is freed.
//
// Must fail: !(freed[seen])
#define READERS 1
#define INTERRUPTIONS 1
#define NESTED_AFTER_COUNT
#include "model.pml"
