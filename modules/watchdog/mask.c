/* SPDX-License-Identifier: MIT
 *
 * Rule `mask`: no soft-masked region (irq.hpp, local_irq_save) lasts longer than the limit: the
 * kernel's hard-lockup test. A thread is asked once, when it runs, where its mask count is, and
 * from then on that word is looked at from here. Only one that is found masked is interrupted: the
 * NMI marks the region, so that it can be told from the next one, and at the limit another NMI sees
 * whether it is still the same. */
#include <stddef.h>
#include <sys/uio.h>
#include <unistd.h>

#include "watchdog.h"

/* The word may be gone with its thread, so it is the kernel that reads it. */
static int read_word(const uint32_t* from, uint32_t* word) {
    struct iovec here = {word, sizeof *word};
    struct iovec there = {(void*)(uintptr_t)from, sizeof *word};
    return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == sizeof *word;
}

/* Marks the region the thread is in. 0: none. */
static int mark(struct watched_thread* thread, uint64_t now_ns) {
    if (!ask(thread, now_ns)) return 0;
    thread->words = thread->report.words;
    return thread->report.masked != 0 &&
           read_word(thread->words.regions_ended, &thread->regions_ended);
}

void look_at_mask(struct watched_thread* thread, int has_run, uint64_t now_ns) {
    uint32_t depth = 1, ended = 0;
    if (thread->words.depth == NULL && !has_run) return;
    if (thread->words.depth != NULL && (!read_word(thread->words.depth, &depth) || depth == 0 ||
                                        !read_word(thread->words.regions_ended, &ended))) {
        thread->masked_since_ns = 0;
        return;
    }
    if (thread->masked_since_ns == 0 || ended != thread->regions_ended) {
        thread->masked_since_ns = mark(thread, now_ns) ? now_ns : 0;
        thread->mask_told = 0;
        return;
    }
    const uint64_t stalled_ns = now_ns - thread->masked_since_ns;
    if (!is_due(stalled_ns, thread->mask_told)) return;
    const uint32_t region = thread->regions_ended;
    if (!mark(thread, now_ns)) {
        thread->masked_since_ns = 0;
    } else if (thread->regions_ended != region) {
        thread->masked_since_ns = now_ns;
    } else {
        ++thread->mask_told;
        alarm_about(thread, 1, WATCHDOG_MASK, "", stalled_ns, now_ns);
    }
}
