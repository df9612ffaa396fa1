/* SPDX-License-Identifier: MIT
 *
 * Heartbeats: how a thread or an event loop says that it makes progress, for a watchdog that is
 * loaded into the program when somebody wants to know (`nmi load PID watchdog,limit_ms=1000`).
 *
 * Purpose. Without a watchdog a heartbeat is one store, so programs can have them always. With one,
 * a thread that has said nothing for the limit is interrupted where it is, and its stack is
 * reported: docs/watchdog.md.
 *
 * Smallest complete use:
 *
 *     struct nmircu_heartbeat* const beat = nmircu_heartbeat_begin("requests");
 *     for (;;) {
 *         nmircu_heartbeat_idle(beat);                 waiting for work is no stall
 *         take_request();
 *         nmircu_heartbeat_touch(beat);
 *         serve();
 *     }
 *     nmircu_heartbeat_end(beat);
 *
 * or, for the calling thread, touch_nmi_watchdog(): the kernel's name.
 *
 * Guarantees. A heartbeat is watched from its first touch on, until it is idle or ended. None of
 * these functions blocks; only those that begin and end one make system calls.
 *
 * Limits. 512 heartbeats at once; those beyond are accepted and not watched. fork(): the child's
 * are not watched until they are begun anew there. Found by a watchdog in a program or a library of
 * it that is linked with libnmircu.so; linked statically, if its symbol nmircu_watchdog_view is in
 * the program's dynamic symbol table (CMake: target nmircu::nmircu arranges that; else
 * -Wl,--export-dynamic-symbol=nmircu_watchdog_view). Several copies in one process: the first is.
 *
 * Cost: docs/watchdog.md.
 *
 * Sources. Linux: include/linux/nmi.h, kernel/watchdog.c. */
#ifndef NMIRCU_WATCHDOG_H
#define NMIRCU_WATCHDOG_H

#include <stdint.h>

#pragma GCC visibility push(default)

#ifdef __cplusplus
extern "C" {
#endif

enum { NMIRCU_HEARTBEAT_SILENT, NMIRCU_HEARTBEAT_TOUCHED, NMIRCU_HEARTBEAT_IDLE };

/* A cache line. Private but for its address; a watchdog reads it. */
struct nmircu_heartbeat {
    uint32_t beat;      /* NMIRCU_HEARTBEAT_*: since the watchdog has last looked */
    uint32_t thread_id; /* whose stack is of interest; 0: free */
    uint32_t used;      /* 0: free, 1: being begun or ended, 2: in use */
    uint32_t reserved;
    char name[48]; /* ends with a NUL; empty: a thread's own */
} __attribute__((aligned(64)));

/* Begins one for the calling thread. The name, at most 47 characters, is copied. Never null.
 * Context: thread. */
struct nmircu_heartbeat* nmircu_heartbeat_begin(const char* name);
/* Context: thread, any; nobody touches it any more. */
void nmircu_heartbeat_end(struct nmircu_heartbeat* beat);
/* It is the calling thread's now. Context: thread. */
void nmircu_heartbeat_move(struct nmircu_heartbeat* beat);

/* Progress. Context: any. */
static inline void nmircu_heartbeat_touch(struct nmircu_heartbeat* beat) {
    /* Relaxed, here and below: the watchdog reads nothing else that this would have to order. */
    __atomic_store_n(&beat->beat, NMIRCU_HEARTBEAT_TOUCHED, __ATOMIC_RELAXED);
}
/* Not watched until the next touch. Context: any. */
static inline void nmircu_heartbeat_idle(struct nmircu_heartbeat* beat) {
    __atomic_store_n(&beat->beat, NMIRCU_HEARTBEAT_IDLE, __ATOMIC_RELAXED);
}

/* The same for a heartbeat that the calling thread gets at its first call and that ends with it.
 * Touching also puts off what a watchdog's other rules would say of the thread.
 * Context: thread; after a thread's first call, any. */
void nmircu_touch_nmi_watchdog(void);
void nmircu_idle_nmi_watchdog(void);

struct nmircu_mask_words {
    const uint32_t* depth;
    const uint32_t* regions_ended;
};

/* What a watchdog finds in a program. Later versions only append. */
struct nmircu_watchdog_parts {
    uint32_t version; /* 1 */
    uint32_t bytes;
    struct nmircu_heartbeat* heartbeats;
    uint32_t heartbeat_count;
    uint32_t heartbeat_bytes;
    /* (nmi) Whether the calling thread has IRQs masked (irq.hpp); then the end of the region will
     * be counted. So two calls between which that count has not changed were in one region, if both
     * return 1. `words`: where the thread's depth of masking and that count are, for reading only.
     */
    int (*mark_region)(struct nmircu_mask_words* words);
};
const struct nmircu_watchdog_parts* nmircu_watchdog_view(void);

#ifdef __cplusplus
}
#else

static inline void touch_nmi_watchdog(void) {
    nmircu_touch_nmi_watchdog();
}

#endif

#pragma GCC visibility pop

#endif
