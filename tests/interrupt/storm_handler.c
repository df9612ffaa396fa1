/* SPDX-License-Identifier: MIT
 *
 * A handler that is loaded and unloaded a thousand times: it looks at its data on the way in and,
 * some microseconds later, on the way out. Code or data that went away in between is a crash or
 * poison.
 */
#include "storm_handler.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int storm_handler(void* cookie, struct pt_regs* regs, int cpu);
EXPORT int storm_callback(struct pt_regs* regs, int cpu);
EXPORT void storm_set_data(struct storm_data* data);

static struct storm_data* own_data;

static void look(const struct storm_data* data, uint64_t* stale) {
    if (__atomic_load_n(&data->alive, __ATOMIC_RELAXED) != STORM_ALIVE)
        __atomic_fetch_add(stale, 1, __ATOMIC_RELAXED);
}

int storm_handler(void* cookie, struct pt_regs* regs, int cpu) {
    struct storm_data* data = cookie;
    uint64_t* stale = data->stale;
    const uint64_t rounds = data->rounds;

    (void)regs;
    (void)cpu;
    look(data, stale);
    __atomic_fetch_add(&data->hits, 1, __ATOMIC_RELAXED);
    for (uint64_t round = 0; round < rounds; ++round)
        __asm__ volatile("" ::: "memory");
    look(data, stale);
    return 1;
}

int storm_callback(struct pt_regs* regs, int cpu) {
    return storm_handler(own_data, regs, cpu);
}

void storm_set_data(struct storm_data* data) {
    own_data = data;
}
