/* SPDX-License-Identifier: MIT
 *
 * What the storm and the handlers it loads agree on. */
#ifndef STORM_HANDLER_H
#define STORM_HANDLER_H

#include <stdint.h>

#define STORM_ALIVE 0x616c697665616c69ull
#define STORM_POISON 0xdeaddeaddeaddeadull

/* Belongs to one generation: allocated before its handler is published, poisoned and freed after
 * it is gone. */
struct storm_data {
    uint64_t alive;  /* STORM_ALIVE, or STORM_POISON */
    uint64_t hits;   /* NMIs this generation claimed */
    uint64_t* stale; /* the program's count of handlers that saw poison */
    uint64_t rounds; /* of doing nothing between the handler's two looks */
};

struct pt_regs;

/* What a storm handler exports. */
typedef void (*storm_set_data_t)(struct storm_data* data);
typedef int (*storm_handler_t)(void* cookie, struct pt_regs* regs, int cpu);
typedef int (*storm_callback_t)(struct pt_regs* regs, int cpu);

#endif
