// SPDX-License-Identifier: MIT
//
// The nesting word is set before the count in enter_section.
//
// A handler interrupts between the two. It finds itself inside a section, so it only nests and
// counts nothing. It loads the old pointer; the updater publishes, scans, finds nobody, frees; the
// handler uses what is freed.
//
// Must fail: !(freed[seen])
#define READERS 1
#define INTERRUPTIONS 1
#define NESTED_BEFORE_COUNT
#include "model.pml"
