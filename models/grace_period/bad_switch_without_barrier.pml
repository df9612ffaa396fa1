// SPDX-License-Identifier: MIT
//
// A context switch that is not a full barrier on the CPU that is left. Linux's is; a port to a
// system without that promise has to add one, or count enter and exit on the same CPU.
//
// Reader A is counted and holds the old pointer. The barrier has reached CPU 1. Reader B enters
// there, its enter waits in that CPU's buffer; B migrates to CPU 0 and leaves, and the exit drains.
// The scan sees X = 1 (B's) and E = 1 (A's). The object is freed under A.
//
// Must fail: !(freed[seen])
#define MIGRATIONS 1
#define SWITCH_NO_BARRIER
#include "model.pml"
