/* SPDX-License-Identifier: MIT
 *
 * Rule `busy`: a thread that can run gives the CPU away of its own accord, by waiting for
 * something, at least once within the limit. Whether it has is what the kernel counts as voluntary
 * switches; that file is read only of threads whose CPU clock has moved, so sleepers cost one
 * system call a look. One that has had a CPU for less than a tenth of the time is not to blame: it
 * was kept from running. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "watchdog.h"

/* The thread's CPU clock, as clock_gettime numbers them (the kernel's CPUCLOCK_PERTHREAD_MASK |
 * CPUCLOCK_SCHED). 0: there is no such thread. */
static uint64_t cpu_time_ns(uint32_t thread_id) {
    struct timespec time;
    const clockid_t clock = (clockid_t)(~thread_id << 3 | 6);
    if (clock_gettime(clock, &time) != 0) return 0;
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* 1: it runs, or could. */
static int read_switches(uint32_t thread_id, uint64_t* switches) {
    struct text path;
    char status[4096];
    task_path(&path, thread_id, "status");
    if (read_file(path.bytes, status, sizeof status) == 0) return 0;
    const char* const state = strstr(status, "\nState:\t");
    const char* const count = strstr(status, "\nvoluntary_ctxt_switches:\t");
    if (state == NULL || count == NULL) return 0;
    *switches = strtoull(count + 26, NULL, 10);
    return state[8] == 'R';
}

int notice_run(struct watched_thread* thread) {
    const uint64_t cpu_ns = cpu_time_ns(thread->thread_id);
    if (cpu_ns == thread->cpu_ns) return 0;
    thread->cpu_ns = cpu_ns;
    return 1;
}

void look_at_busy(struct watched_thread* thread, uint64_t now_ns) {
    uint64_t switches = 0;
    const int runs = read_switches(thread->thread_id, &switches);
    if (!runs || switches != thread->switches) {
        thread->switches = switches;
        thread->busy_since_ns = now_ns;
        thread->busy_cpu_ns = thread->cpu_ns;
        thread->busy_told = 0;
        return;
    }
    const uint64_t stalled_ns = now_ns - thread->busy_since_ns;
    if (!is_due(stalled_ns, thread->busy_told)) return;
    if (thread->cpu_ns - thread->busy_cpu_ns < stalled_ns / 10) return;
    const int answered = ask(thread, now_ns);
    /* It may have gone on while it was asked. */
    if (!read_switches(thread->thread_id, &switches) || switches != thread->switches) return;
    ++thread->busy_told;
    alarm_about(thread, answered, WATCHDOG_BUSY, "", stalled_ns, now_ns);
}
