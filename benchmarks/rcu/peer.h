/* SPDX-License-Identifier: MIT */
/*
 * What every contestant of the RCU benchmarks offers: loops that were compiled together with its
 * own read side, so that an inlined reader is measured inlined. A null pointer: it has no such
 * thing. Plain C, because liburcu's and ck's headers are.
 */
#ifndef BENCH_RCU_PEER_H
#define BENCH_RCU_PEER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the protected pointer points to. */
struct bench_box {
    uint64_t value;
};

struct bench_peer {
    const char* name;
    /* The calling thread becomes a reader; it ends being one. */
    void (*enroll)(void);
    void (*resign)(void);
    /* A thread that will sleep for long steps aside; it comes back. */
    void (*rest)(void);
    void (*resume)(void);
    /* `count` sections: empty; one in another; with a read of a protected box; with such a read and
     * some 20 ns of work that does not depend on it. */
    void (*sections)(uint64_t count);
    void (*nested)(uint64_t count);
    uint64_t (*reads)(uint64_t count);
    uint64_t (*worked)(uint64_t count);
    /* Waits for every reader; replaces the protected box by a new one and frees the old. */
    void (*synchronize)(void);
    void (*update)(void);
    /* Allocates `count` objects and retires each, to be freed after a grace period; adds each freed
     * one to `reclaimed`; waits until all are. */
    void (*retire)(uint64_t count);
    uint64_t (*reclaimed)(void);
    void (*barrier)(void);
};

/* A chain of multiplications that the compiler cannot shorten: about 20 ns. */
static inline uint64_t bench_work(uint64_t x) {
    for (int i = 0; i < 24; ++i) {
        x *= 0x9e3779b97f4a7c15u;
        __asm__ volatile("" : "+r"(x));
    }
    return x;
}

extern const struct bench_peer bench_nmircu_inlined, bench_nmircu_call, bench_memb_inlined,
    bench_memb_shipped, bench_mb_inlined, bench_mb_shipped, bench_qsbr_inlined, bench_qsbr_shipped,
    bench_bp_inlined, bench_bp_shipped, bench_ck_epoch, bench_shared_mutex, bench_shared_ptr,
    bench_no_reader;

#ifdef __cplusplus
}
#endif

#endif
