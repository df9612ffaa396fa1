/* SPDX-License-Identifier: MIT
 *
 * What the module `backtrace` leaves in its memory, for `nmi backtrace` to read: a page with the
 * header, then one slot per thread that answered, in the order of answering. Little-endian, as the
 * machine. The reader trusts none of it: the program may write there what it likes. */
#ifndef NMIRCU_MODULES_BACKTRACE_LAYOUT_H
#define NMIRCU_MODULES_BACKTRACE_LAYOUT_H

#include <stdint.h>

#define BACKTRACE_VERSION 1u

enum {
    backtrace_page_bytes = 4096,
    backtrace_most_addresses = 256,
    backtrace_most_registers = 40,
    backtrace_most_slots = 65536,
    backtrace_most_stack_bytes = 32 * 1024
};

struct backtrace_header {
    uint32_t version;
    uint32_t slots;       /* as many as there is room for */
    uint32_t slot_bytes;  /* from one to the next; a multiple of a page */
    uint32_t stack_bytes; /* of a slot's stack at most */
    uint32_t taken;       /* slots that were begun; more than `slots`: some threads found none */
    uint32_t reserved[11];
};

/* Slot i lies at backtrace_page_bytes + i * slot_bytes. */
struct backtrace_slot {
    uint32_t complete; /* 1 once all else is there, written last, with release */
    uint32_t thread_id;
    uint64_t begin_ns; /* CLOCK_MONOTONIC: the handler began */
    uint64_t end_ns;   /* and was done */
    uint32_t cpu;
    uint32_t address_count;  /* by frame pointers, innermost first; 1..backtrace_most_addresses */
    uint32_t register_count; /* 0: the stack was not copied */
    uint32_t stack_bytes;    /* copied from stack_pointer up, into what follows this struct */
    uint64_t stack_pointer;
    uint64_t registers[backtrace_most_registers]; /* as in struct nmi_stack_sample */
    uint64_t addresses[backtrace_most_addresses];
};

/* For the reader. */
static inline int backtrace_is_complete(const struct backtrace_slot* slot) {
    /* [BTR-2] acquire: the mark precedes the look at the rest. Partner: [BTR-1], backtrace.c.
     * Weakened: as there. */
    return __atomic_load_n(&slot->complete, __ATOMIC_ACQUIRE) == 1;
}

#endif
