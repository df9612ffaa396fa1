/* SPDX-License-Identifier: MIT
 * A library that makes a thread of its own, and knows nothing of anybody. */
#include <pthread.h>

static void (*work)(void);

static void* run(void* unused) {
    (void)unused;
    work();
    return 0;
}

void start_thread(void (*function)(void));
void start_thread(void (*function)(void)) {
    pthread_t thread;
    work = function;
    pthread_create(&thread, 0, run, 0);
    pthread_detach(thread);
}
