/* SPDX-License-Identifier: MIT */
/*
 * One flavour of liburcu. Compiled once for each flavour and form:
 *   FLAVOUR   memb, mb, qsbr or bp
 *   FORM      inlined (with _LGPL_SOURCE and URCU_INLINE_SMALL_FUNCTIONS) or shipped (without)
 *   HEADER    its header
 */
#include HEADER

#include <stdlib.h>

#include "peer.h"

#define JOIN2(a, b, c) a##b##c
#define JOIN(a, b, c) JOIN2(a, b, c)
#define OF_FLAVOUR(name) JOIN(JOIN(urcu_, FLAVOUR, _), name, )
#define TEXT2(text) #text
#define TEXT(text) TEXT2(text)

#define ENTER OF_FLAVOUR(read_lock)()
#define LEAVE OF_FLAVOUR(read_unlock)()
#define CURRENT rcu_dereference(current)
#ifdef IS_QSBR
/* As liburcu's own benchmark of it does. */
#define PAUSE(left) \
    if ((left & 1023) == 0) OF_FLAVOUR(quiescent_state)()
#else
#define PAUSE(left) (void)0
#endif

static struct bench_box first = {1};
static struct bench_box* current = &first;

#include "loops.h"

static void enroll(void) {
    OF_FLAVOUR(register_thread)();
}
static void resign(void) {
    OF_FLAVOUR(unregister_thread)();
}
static void rest(void) {
    OF_FLAVOUR(thread_offline)();
}
static void resume(void) {
    OF_FLAVOUR(thread_online)();
}

static void update(void) {
    struct bench_box* old = current;
    struct bench_box* next = malloc(sizeof(*next));
    next->value = old->value + 1;
    rcu_assign_pointer(current, next);
    OF_FLAVOUR(synchronize_rcu)();
    if (old != &first) free(old);
}

struct retired {
    struct rcu_head head;
    uint64_t value;
};
static uint64_t freed; /* by whichever thread runs the callbacks */

static void reclaim(struct rcu_head* head) {
    free(caa_container_of(head, struct retired, head));
    __atomic_fetch_add(&freed, 1, __ATOMIC_RELAXED);
}
static void retire(uint64_t count) {
    for (; count != 0; --count) {
        struct retired* one = malloc(sizeof(*one));
        one->value = count;
        OF_FLAVOUR(call_rcu)(&one->head, reclaim);
    }
}
static uint64_t reclaimed(void) {
    return __atomic_load_n(&freed, __ATOMIC_RELAXED);
}

const struct bench_peer JOIN(JOIN(bench_, FLAVOUR, _), FORM, ) = {
    .name = "liburcu-" TEXT(FLAVOUR) ", " TEXT(FORM),
    .enroll = enroll,
    .resign = resign,
    .rest = rest,
    .resume = resume,
    .sections = sections,
    .nested = nested,
    .reads = reads,
    .worked = worked,
    .synchronize = OF_FLAVOUR(synchronize_rcu),
    .update = update,
    .retire = retire,
    .reclaimed = reclaimed,
    .barrier = OF_FLAVOUR(barrier),
};
