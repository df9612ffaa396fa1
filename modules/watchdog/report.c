/* SPDX-License-Identifier: MIT
 *
 * Alarms: into the memory that `nmi watch` reads, and as lines into a log, at most ten at once and
 * one more every five seconds; how many were left out is said with the next. Code is named by
 * object and offset, as /proc/self/maps has them: the dynamic loader, who knows more, may be what
 * is stuck. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "watchdog.h"

enum { log_burst = 10 };
static const uint64_t log_interval_ns = 5000000000;

static struct watchdog_header* header;
static int log_file = -1;
static uint32_t log_tokens = log_burst;
static uint64_t log_refilled_ns;
static uint32_t left_out;

static void copy_name(char* to, uint32_t bytes, const char* from) {
    uint32_t i = 0;
    for (; i + 1 < bytes && from[i] != '\0' && from[i] != '\n'; ++i)
        to[i] = from[i];
    for (; i < bytes; ++i)
        to[i] = '\0';
}

int open_alarms(char* error, uint32_t error_bytes) {
    header = host->shared_memory(watchdog_page_bytes + watchdog_slots * watchdog_slot_bytes);
    if (header == NULL) {
        copy_name(error, error_bytes, "there is no memory for the alarms");
        return 1;
    }
    header->version = WATCHDOG_VERSION;
    header->limit_ms = (uint32_t)(settings.limit_ns / 1000000);
    header->rules = settings.rules;
    return 0;
}

int open_log(void) {
    log_tokens = log_burst;
    if (settings.log_path == NULL) {
        log_file = STDERR_FILENO;
        return 0;
    }
    log_file = open(settings.log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
    return log_file < 0;
}

static const char* what_happened(uint32_t rule) {
    switch (rule) {
        case WATCHDOG_HEARTBEAT:
            return "no heartbeat";
        case WATCHDOG_BUSY:
            return "has run without waiting for anything";
        default:
            return "has had interrupts masked";
    }
}

/* " libc.so.6+0x1234" from the lines of maps; an object begins at its first mapping. */
static void add_place(struct text* text, const char* maps, uintptr_t address) {
    uintptr_t object_begin = 0;
    const char* object = "";
    size_t object_bytes = 0;
    for (const char* line = maps; *line != '\0';) {
        char* at = NULL;
        const uintptr_t begin = strtoull(line, &at, 16);
        const uintptr_t end = strtoull(at + 1, NULL, 16);
        const char* const next = strchr(line, '\n');
        const char* path = strpbrk(line, "/[\n");
        if (next == NULL || path == NULL) break;
        const size_t bytes = (size_t)(next - path);
        if (bytes == 0 || bytes != object_bytes || memcmp(path, object, bytes) != 0) {
            object = path;
            object_bytes = bytes;
            object_begin = begin;
        }
        if (address >= begin && address < end) break;
        line = next + 1;
        object_bytes = *line == '\0' ? 0 : object_bytes;
    }
    add_text(text, " ");
    const char* name = object;
    for (size_t i = 0; i < object_bytes; ++i) {
        if (object[i] == '/') name = object + i + 1;
    }
    if (object_bytes == 0 || address < object_begin) {
        add_text(text, "0x");
        add_number(text, address, 16);
        return;
    }
    char copy[64];
    size_t length = (size_t)(object + object_bytes - name);
    if (length > sizeof copy - 1) length = sizeof copy - 1;
    memcpy(copy, name, length);
    copy[length] = '\0';
    add_text(text, copy);
    add_text(text, "+0x");
    add_number(text, address - object_begin, 16);
}

static void add_stack(struct text* text, const struct watchdog_alarm* alarm) {
    enum { maps_bytes = 1 << 20 };
    if (alarm->address_count == 0) {
        add_text(text, "; it did not answer");
        return;
    }
    static char maps[maps_bytes]; /* the allocator may be what is stuck */
    read_file("/proc/self/maps", maps, maps_bytes);
    add_text(text, "; at");
    for (uint32_t i = 0; i < alarm->address_count; ++i)
        add_place(text, maps, alarm->addresses[i]);
}

static int may_log(uint64_t now_ns) {
    while (log_tokens < log_burst && now_ns - log_refilled_ns >= log_interval_ns) {
        ++log_tokens;
        log_refilled_ns += log_interval_ns;
    }
    if (log_tokens == log_burst) log_refilled_ns = now_ns;
    if (log_tokens == 0) {
        ++left_out;
        return 0;
    }
    --log_tokens;
    return 1;
}

static void log_alarm(const struct watchdog_alarm* alarm) {
    if (!may_log(alarm->time_ns)) return;
    static struct text text;
    text.used = 0;
    add_text(&text, "nmi watchdog: thread ");
    add_number(&text, alarm->thread_id, 10);
    add_text(&text, " (");
    add_text(&text, alarm->thread);
    add_text(&text, "): ");
    add_text(&text, what_happened(alarm->rule));
    if (alarm->heartbeat[0] != '\0') {
        add_text(&text, " of ");
        add_text(&text, alarm->heartbeat);
    }
    add_text(&text, " for ");
    add_number(&text, alarm->stalled_ns / 1000000, 10);
    add_text(&text, " ms");
    add_stack(&text, alarm);
    if (left_out != 0) {
        add_text(&text, " (");
        add_number(&text, left_out, 10);
        add_text(&text, " earlier alarms left out)");
        left_out = 0;
    }
    text.used = text.used < sizeof text.bytes - 2 ? text.used : (uint32_t)sizeof text.bytes - 2;
    add_text(&text, "\n");
    if (write(log_file, text.bytes, text.used) < 0) return;
}

void alarm_about(const struct watched_thread* thread, int answered, enum watchdog_rule rule,
                 const char* heartbeat, uint64_t stalled_ns, uint64_t now_ns) {
    struct watchdog_alarm* const alarm =
        (struct watchdog_alarm*)((char*)header + watchdog_page_bytes +
                                 header->alarms % watchdog_slots * watchdog_slot_bytes);
    __atomic_store_n(&alarm->number, 0, __ATOMIC_RELAXED); /* the fence orders it */
    /* [WDA-3] release fence: that it is written precedes what is written. Partner: [WDA-4],
     * layout.h. Weakened: as [WDA-2]. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    alarm->rule = rule;
    alarm->thread_id = thread->thread_id;
    alarm->time_ns = now_ns;
    alarm->stalled_ns = stalled_ns;
    copy_name(alarm->thread, sizeof alarm->thread, thread->name);
    copy_name(alarm->heartbeat, sizeof alarm->heartbeat, heartbeat);
    alarm->address_count = answered ? thread->report.address_count : 0;
    for (uint32_t i = 0; i < alarm->address_count; ++i)
        alarm->addresses[i] = thread->report.addresses[i];
    /* [WDA-1] release: the alarm precedes its number. Partner: [WDA-2], layout.h. Weakened: as
     * there. */
    __atomic_store_n(&alarm->number, header->alarms + 1, __ATOMIC_RELEASE);
    __atomic_store_n(&header->alarms, header->alarms + 1,
                     __ATOMIC_RELAXED); /* a hint where to look */
    log_alarm(alarm);
}
