/* SPDX-License-Identifier: MIT
 *
 * The threads of the program, and what they answer when an NMI asks them. A question carries the
 * number of the thread's place in the table, so that the handler need not look for it. */
#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "watchdog.h"

static struct watched_thread threads[most_threads];
static uint32_t used_places; /* those beyond were never used */
static uint32_t round_number;

struct watched_thread* next_thread(struct watched_thread* after) {
    struct watched_thread* at = after == NULL ? threads : after + 1;
    for (; at < threads + used_places; ++at) {
        if (at->thread_id != 0) return at;
    }
    return NULL;
}

struct watched_thread* thread_of(uint32_t thread_id) {
    for (struct watched_thread* at = next_thread(NULL); at != NULL; at = next_thread(at)) {
        if (at->thread_id == thread_id) return at;
    }
    return NULL;
}

/* The agent's, and the core's. */
static int is_ours(uint32_t thread_id) {
    struct text path;
    char name[32];
    task_path(&path, thread_id, "comm");
    const uint32_t bytes = read_file(path.bytes, name, sizeof name);
    if (bytes == 0) return 1;
    name[bytes - 1] = '\0';
    static const char* const own[] = {"nmi-agent",   "nmi-worker",  "nmi-periodic",
                                      "nmi-sampler", "nmircu-work", "nmircu-reclaim"};
    for (uint32_t i = 0; i < sizeof own / sizeof *own; ++i) {
        if (strcmp(name, own[i]) == 0) return 1;
    }
    return 0;
}

static void begin_watching(uint32_t thread_id, uint64_t now_ns) {
    uint32_t place = 0;
    while (place < used_places && threads[place].thread_id != 0)
        ++place;
    if (place == most_threads) return;
    struct watched_thread* const thread = &threads[place];
    const uint32_t asked = thread->report.asked;
    memset(thread, 0, offsetof(struct watched_thread, report));
    thread->report.asked = asked;
    thread->thread_id = thread_id;
    thread->round = round_number;
    thread->busy_since_ns = now_ns;
    notice_run(thread);
    thread->busy_cpu_ns = thread->cpu_ns;
    if (place == used_places) ++used_places;
}

/* Its place among those that are known; they are listed in the same order each time, mostly. */
static int is_known(uint32_t thread_id, uint32_t* hint) {
    for (uint32_t i = 0; i < used_places; ++i) {
        const uint32_t place = (*hint + i) % used_places;
        if (threads[place].thread_id != thread_id) continue;
        threads[place].round = round_number;
        *hint = place + 1;
        return 1;
    }
    return 0;
}

static void see_thread(uint32_t thread_id, uint32_t* hint, uint64_t now_ns) {
    enum { most_ours = 16 };
    static uint32_t ours[most_ours];
    if (thread_id == 0 || is_known(thread_id, hint)) return;
    uint32_t i = 0;
    while (i < most_ours && ours[i] != 0 && ours[i] != thread_id)
        ++i;
    if (i < most_ours && ours[i] == thread_id) return;
    if (!is_ours(thread_id))
        begin_watching(thread_id, now_ns);
    else if (i < most_ours)
        ours[i] = thread_id;
}

/* Not with readdir, which allocates: the allocator may be what is stuck. */
void list_threads(uint64_t now_ns) {
    static char entries[16384] __attribute__((aligned(8)));
    const int folder = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return;
    uint32_t hint = 0;
    long bytes = 0;
    ++round_number;
    while ((bytes = syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0) {
        for (long at = 0; at < bytes;) {
            const struct dirent64* const entry =
                (const struct dirent64*)(const void*)(entries + at);
            see_thread((uint32_t)strtoul(entry->d_name, NULL, 10), &hint, now_ns);
            at += entry->d_reclen;
        }
    }
    close(folder);
    for (uint32_t i = 0; i < used_places; ++i) {
        if (threads[i].round != round_number) threads[i].thread_id = 0;
    }
}

void excuse_threads(uint64_t ns) {
    for (uint32_t i = 0; i < used_places; ++i) {
        threads[i].busy_since_ns += ns;
        if (threads[i].masked_since_ns != 0) threads[i].masked_since_ns += ns;
    }
}

int ask(struct watched_thread* thread, uint64_t now_ns) {
    if (now_ns < thread->deaf_until_ns) return 0;
    const struct timespec a_moment = {0, 50000};
    const uint64_t deaf_ns = 1000000000;
    const uint32_t place = (uint32_t)(thread - threads);
    struct text path;
    task_path(&path, thread->thread_id, "comm");
    read_file(path.bytes, thread->name, sizeof thread->name);
    const uint32_t question = ++thread->report.asked;
    for (int tries = 0; tries < 500; ++tries) {
        /* A thread with an interrupt of a source on its way gets that one only: asked again. */
        if (tries % 20 == 0 &&
            host->interrupt_thread(thread->thread_id, NMI_REQUEST_WATCHDOG | place << 16) != 0)
            break;
        nanosleep(&a_moment, NULL);
        /* [WDT-2] acquire: the answer before what is in it. Partner: [WDT-1].
         * Weakened: the stack of an earlier stall is shown. */
        if (__atomic_load_n(&thread->report.answered, __ATOMIC_ACQUIRE) == question) return 1;
    }
    thread->deaf_until_ns = now_ns + deaf_ns;
    return 0;
}

int answer(struct pt_regs* regs) {
    const uint32_t request = host->requested(regs);
    if ((request & 0xffff) != NMI_REQUEST_WATCHDOG) return 0;
    const uint32_t place = request >> 16;
    if (place >= most_threads || threads[place].thread_id != host->thread_id()) return 1;
    struct thread_report* const report = &threads[place].report;
    /* Relaxed: the thread that asks waits. */
    const uint32_t question = __atomic_load_n(&report->asked, __ATOMIC_RELAXED);
    if (program != NULL) report->masked = (uint32_t)program->mark_region(&report->words);
    report->address_count = host->walk_stack(regs, report->addresses, watchdog_most_addresses);
    /* [WDT-1] release: what is answered before that it is. Partner: [WDT-2]. Weakened: as there. */
    __atomic_store_n(&report->answered, question, __ATOMIC_RELEASE);
    return 1;
}
