/* SPDX-License-Identifier: MIT
 *
 * As much of POSIX's scheduling as a program needs that waits for others. C only. Thread context.
 */
#ifndef NMIRCU_BAREMETAL_SCHED_H
#define NMIRCU_BAREMETAL_SCHED_H

#include "threads.h"

static inline int sched_yield(void) {
    nmircu_thread_yield();
    return 0;
}

#endif
