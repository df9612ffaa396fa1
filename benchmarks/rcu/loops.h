/* SPDX-License-Identifier: MIT */
/*
 * The loops of bench_peer, around the read side that the including file defines:
 *   ENTER, LEAVE   statements
 *   CURRENT        an expression of type struct bench_box *, valid between them
 *   PAUSE(left)    a statement run once a turn, between sections (for quiescent states)
 */
static inline void sections(uint64_t count) {
    for (; count != 0; --count) {
        ENTER;
        LEAVE;
        PAUSE(count);
    }
}

static inline void nested(uint64_t count) {
    for (; count != 0; --count) {
        ENTER;
        ENTER;
        LEAVE;
        LEAVE;
        PAUSE(count);
    }
}

static inline uint64_t reads(uint64_t count) {
    uint64_t sum = 0;
    for (; count != 0; --count) {
        ENTER;
        sum += CURRENT->value;
        LEAVE;
        PAUSE(count);
    }
    return sum;
}

static inline uint64_t worked(uint64_t count) {
    uint64_t sum = 0;
    uint64_t x = count;
    for (; count != 0; --count) {
        ENTER;
        sum += CURRENT->value;
        LEAVE;
        x = bench_work(x);
        PAUSE(count);
    }
    return sum + x;
}
