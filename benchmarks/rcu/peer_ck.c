/* SPDX-License-Identifier: MIT */
/* Concurrency Kit's epoch reclamation. */
#include <ck_epoch.h>
#include <ck_pr.h>
#include <stdlib.h>

#include "peer.h"

static ck_epoch_t epoch;
static __thread ck_epoch_record_t* record;
static struct bench_box first = {1};
static struct bench_box* current = &first;

#define ENTER ck_epoch_begin(record, NULL)
#define LEAVE ck_epoch_end(record, NULL)
#define CURRENT ((struct bench_box*)ck_pr_load_ptr(&current))
#define PAUSE(left) (void)0

#include "loops.h"

__attribute__((constructor)) static void start(void) {
    ck_epoch_init(&epoch);
}

/* A record cannot be freed, only used again. */
static void enroll(void) {
    record = ck_epoch_recycle(&epoch, NULL);
    if (record != NULL) return;
    record = aligned_alloc(64, (sizeof(*record) + 63) / 64 * 64);
    ck_epoch_register(&epoch, record, NULL);
}
static void resign(void) {
    ck_epoch_unregister(record);
}

static void synchronize(void) {
    ck_epoch_synchronize(record);
}

static void update(void) {
    struct bench_box* old = current;
    struct bench_box* next = malloc(sizeof(*next));
    next->value = old->value + 1;
    ck_pr_fence_store();
    ck_pr_store_ptr(&current, next);
    synchronize();
    if (old != &first) free(old);
}

const struct bench_peer bench_ck_epoch = {
    .name = "ck_epoch, inlined",
    .enroll = enroll,
    .resign = resign,
    .sections = sections,
    .nested = nested,
    .reads = reads,
    .worked = worked,
    .synchronize = synchronize,
    .update = update,
};
