// SPDX-License-Identifier: MIT
//
// [RC-2] absent: the load of the number of the last cycle may be done before the caller's own
// pushes, or those it knows of.
//
// B has loaded the number early. A cycle begins and looks at a list: empty. Object 1 is pushed and
// B learns of it; B waits for the number it computed from its early load. The running cycle reaches
// it without object 1.
//
// Must fail: effect[
#define HANDLER
#define RC2_NO_FENCE
#include "model.pml"
