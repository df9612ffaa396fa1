/* SPDX-License-Identifier: MIT
 *
 * What pthread.h and sched.h here stand on: threads.cpp, which sees a compiler's own headers of
 * these names. A thread is 1 + its CPU's number. Thread context, by one caller at a time.
 */
#ifndef NMIRCU_BAREMETAL_THREADS_H
#define NMIRCU_BAREMETAL_THREADS_H

#ifdef __cplusplus
extern "C" {
#endif
/* 0, or an errno value. */
int nmircu_thread_create(unsigned long* thread, void* (*function)(void*), void* argument);
int nmircu_thread_join(unsigned long thread, void** result);
void nmircu_thread_yield(void);
#ifdef __cplusplus
}
#endif

#endif
