/* SPDX-License-Identifier: MIT
 *
 * As much of POSIX's threads as a program needs that starts some and waits for them: each runs on a
 * CPU of its own, which must be idle. C only. Thread context. EAGAIN: there is no such CPU.
 */
#ifndef NMIRCU_BAREMETAL_PTHREAD_H
#define NMIRCU_BAREMETAL_PTHREAD_H

#include "threads.h"

typedef unsigned long pthread_t;
typedef struct nmircu_no_attributes pthread_attr_t;

/* attributes must be null. */
static inline int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                                 void* (*function)(void*), void* argument) {
    return attributes != (const pthread_attr_t*)0
               ? 22 /* EINVAL */
               : nmircu_thread_create(thread, function, argument);
}
static inline int pthread_join(pthread_t thread, void** result) {
    return nmircu_thread_join(thread, result);
}

#endif
