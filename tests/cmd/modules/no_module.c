// SPDX-License-Identifier: MIT
//
// A shared object that is no module. Its constructor must never run in anybody's program.
#include <stdlib.h>

__attribute__((constructor)) static void run_on_load(void) {
    abort();
}
