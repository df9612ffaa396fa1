/* SPDX-License-Identifier: MIT
 *
 * The parts of the watchdog: who watches what, and what they share. All but `answer` runs on the
 * periodic thread, or before it in init. */
#ifndef NMIRCU_MODULES_WATCHDOG_WATCHDOG_H
#define NMIRCU_MODULES_WATCHDOG_WATCHDOG_H

#include <stdint.h>

#include <nmircu/module.h>
#include <nmircu/watchdog.h>

#include "layout.h"

enum { most_threads = 4096 };

struct settings {
    uint64_t limit_ns;
    uint64_t interval_ns;
    uint32_t rules;
    const char* log_path; /* null: the program's stderr */
};

/* Written in init. */
extern const struct nmi_host* host;
extern struct settings settings;
extern const struct nmircu_watchdog_parts* program; /* null: no nmircu in it */

/* What a thread wrote down when it was asked. */
struct thread_report {
    uint32_t asked;    /* number of the question; the periodic thread */
    uint32_t answered; /* the question this is the answer to; written last, with release */
    uint32_t masked;
    uint32_t address_count;
    struct nmircu_mask_words words;
    uintptr_t addresses[watchdog_most_addresses];
};

struct watched_thread {
    uint32_t thread_id; /* 0: free */
    uint32_t round;     /* of the listing that saw it last */
    char name[32];      /* when it was asked */
    /* busy */
    uint64_t cpu_ns;
    uint64_t switches;
    uint64_t busy_since_ns;
    uint64_t busy_cpu_ns; /* of cpu_ns, then */
    uint32_t busy_told;   /* alarms of this stall */
    /* mask */
    uint32_t mask_told;
    struct nmircu_mask_words words; /* in the thread's memory; null: not asked yet */
    uint64_t masked_since_ns;       /* 0: was not masked */
    uint32_t regions_ended;         /* at that time */
    uint32_t reserved;
    uint64_t deaf_until_ns; /* it did not answer; not asked again before */
    struct thread_report report;
};

/* threads.c */
void list_threads(uint64_t now_ns);
struct watched_thread* next_thread(struct watched_thread* after); /* null: from the first on */
struct watched_thread* thread_of(uint32_t thread_id);
/* 1: it has answered within some tens of milliseconds; almost always it takes a fraction of one. */
int ask(struct watched_thread* thread, uint64_t now_ns);
/* (nmi) */
int answer(struct pt_regs* regs);
/* Puts everything off: nobody could run. */
void excuse_threads(uint64_t ns);

/* heartbeats.c, busy.c, mask.c: one rule each. */
void look_at_heartbeats(uint64_t now_ns);
void excuse_heartbeats(uint64_t ns);
/* Whether it has run since this was last asked. */
int notice_run(struct watched_thread* thread);
void look_at_busy(struct watched_thread* thread, uint64_t now_ns);
void look_at_mask(struct watched_thread* thread, int has_run, uint64_t now_ns);

/* Whether a stall that has lasted this long and was told `told` times is to be told (again): at the
 * limit, then at 10, 100, ... times the limit. */
int is_due(uint64_t stalled_ns, uint32_t told);

/* report.c. Returns not 0: `error` says why not. */
int open_alarms(char* error, uint32_t error_bytes);
int open_log(void);
void alarm_about(const struct watched_thread* thread, int answered, enum watchdog_rule rule,
                 const char* heartbeat, uint64_t stalled_ns, uint64_t now_ns);

/* text.c */
struct text {
    char bytes[4000];
    uint32_t used;
};
void add_text(struct text* text, const char* what);
void add_number(struct text* text, uint64_t value, uint32_t base);
/* A small file of /proc into a buffer, ended by a NUL; its length, 0 if it cannot be read. */
uint32_t read_file(const char* path, char* to, uint32_t bytes);
/* "/proc/self/task/TID/NAME". */
void task_path(struct text* text, uint32_t thread_id, const char* name);

#endif
