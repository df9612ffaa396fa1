/* SPDX-License-Identifier: MIT
 *
 * Rule `heartbeat`: whoever has touched his heartbeat and is not idle touches it again within the
 * limit. A touch is a store of a constant; each look takes it away, so the time of a touch is known
 * to one interval. */
#include <stddef.h>

#include "watchdog.h"

enum { most_heartbeats = 512 };

static struct {
    uint64_t since_ns; /* of the look that found it touched; 0: idle, or not there */
    uint32_t thread_id;
    uint32_t told;
} seen[most_heartbeats];

static uint32_t take_beat(struct nmircu_heartbeat* heartbeat) {
    uint32_t beat = NMIRCU_HEARTBEAT_TOUCHED;
    /* Relaxed: a word that stands alone; "idle" stays. */
    __atomic_compare_exchange_n(&heartbeat->beat, &beat, NMIRCU_HEARTBEAT_SILENT, 0,
                                __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return beat;
}

/* A thread that says that it makes progress is not stuck by any rule. */
static void excuse_thread(uint32_t thread_id, uint64_t now_ns) {
    struct watched_thread* const thread = thread_of(thread_id);
    if (thread == NULL) return;
    thread->busy_since_ns = now_ns;
    thread->busy_cpu_ns = thread->cpu_ns;
    thread->busy_told = 0;
}

static void look_at(uint32_t number, struct nmircu_heartbeat* heartbeat, uint64_t now_ns) {
    const uint32_t thread_id =
        __atomic_load_n(&heartbeat->thread_id, __ATOMIC_RELAXED); /* a number */
    const uint32_t beat = take_beat(heartbeat);
    if (beat != NMIRCU_HEARTBEAT_SILENT || seen[number].thread_id != thread_id) {
        const int watched = beat != NMIRCU_HEARTBEAT_IDLE;
        seen[number].since_ns = watched ? now_ns : 0;
        seen[number].thread_id = thread_id;
        seen[number].told = 0;
        excuse_thread(thread_id, now_ns);
        return;
    }
    const uint64_t since_ns = seen[number].since_ns;
    if (since_ns == 0 || (settings.rules & WATCHDOG_HEARTBEAT) == 0) return;
    if (!is_due(now_ns - since_ns, seen[number].told)) return;
    struct watched_thread* const thread = thread_of(thread_id);
    if (thread == NULL) return; /* it has ended */
    const int answered = ask(thread, now_ns);
    /* It may have gone on while it was asked. */
    if (__atomic_load_n(&heartbeat->beat, __ATOMIC_RELAXED) != NMIRCU_HEARTBEAT_SILENT) return;
    ++seen[number].told;
    /* The same stall is not told by two rules. */
    if (thread->busy_told < seen[number].told) thread->busy_told = seen[number].told;
    alarm_about(thread, answered, WATCHDOG_HEARTBEAT, heartbeat->name, now_ns - since_ns, now_ns);
}

void look_at_heartbeats(uint64_t now_ns) {
    const uint32_t count =
        program->heartbeat_count < most_heartbeats ? program->heartbeat_count : most_heartbeats;
    for (uint32_t i = 0; i < count; ++i) {
        struct nmircu_heartbeat* const heartbeat =
            (struct nmircu_heartbeat*)((char*)program->heartbeats +
                                       (size_t)i * program->heartbeat_bytes);
        /* [WD-4] acquire: that it is in use precedes its name. Partner: [WD-3],
         * src/platform/linux/heartbeats.cpp. Weakened: as there. */
        if (__atomic_load_n(&heartbeat->used, __ATOMIC_ACQUIRE) == 2) {
            look_at(i, heartbeat, now_ns);
        } else {
            seen[i].since_ns = 0;
            seen[i].thread_id = 0;
        }
    }
}

void excuse_heartbeats(uint64_t ns) {
    for (uint32_t i = 0; i < most_heartbeats; ++i) {
        if (seen[i].since_ns != 0) seen[i].since_ns += ns;
    }
}
