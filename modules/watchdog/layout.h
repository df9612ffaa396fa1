/* SPDX-License-Identifier: MIT
 *
 * What the module `watchdog` leaves in its memory, for `nmi watch` to read: a page with the header,
 * then the latest alarms in a ring of slots. Little-endian, as the machine. The reader trusts none
 * of it. */
#ifndef NMIRCU_MODULES_WATCHDOG_LAYOUT_H
#define NMIRCU_MODULES_WATCHDOG_LAYOUT_H

#include <stdint.h>

#define WATCHDOG_VERSION 1u

enum {
    watchdog_page_bytes = 4096,
    watchdog_slots = 64,
    watchdog_slot_bytes = 2048,
    watchdog_most_addresses = 128
};

enum watchdog_rule { WATCHDOG_HEARTBEAT = 1, WATCHDOG_BUSY = 2, WATCHDOG_MASK = 4 };

struct watchdog_header {
    uint32_t version;
    uint32_t limit_ms;
    uint32_t rules;  /* WATCHDOG_*, those that are watched */
    uint32_t alarms; /* so far, and those that were not logged */
};

/* Alarm n, from 1, is in slot (n - 1) % watchdog_slots. */
struct watchdog_alarm {
    uint32_t number; /* 0 while it is written; the reader looks before and after */
    uint32_t rule;
    uint32_t thread_id;
    uint32_t address_count; /* by frame pointers, innermost first; 0: the thread did not answer */
    uint64_t time_ns;       /* CLOCK_MONOTONIC */
    uint64_t stalled_ns;
    char thread[16];    /* its name; ends with a NUL */
    char heartbeat[48]; /* empty: the thread's own, or another rule */
    uint64_t addresses[watchdog_most_addresses];
};

/* For the reader: the number before the rest, and the rest before the number. */
static inline uint32_t watchdog_number(const struct watchdog_alarm* alarm) {
    /* [WDA-2] acquire: the number precedes the look at the rest. Partner: [WDA-1], report.c.
     * Weakened: an alarm is shown that is half another. */
    return __atomic_load_n(&alarm->number, __ATOMIC_ACQUIRE);
}

/* The number again, after the rest was copied: the same if nobody has written meanwhile. */
static inline uint32_t watchdog_number_again(const struct watchdog_alarm* alarm) {
    /* [WDA-4] acquire fence: the copy precedes this look. Partner: [WDA-3], report.c. Weakened: as
     * [WDA-2]. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&alarm->number, __ATOMIC_RELAXED); /* the fence orders it */
}

#endif
