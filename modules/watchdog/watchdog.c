/* SPDX-License-Identifier: MIT
 *
 * The watchdog: a thread or an event loop that shows no progress is made to say where it is, by an
 * NMI into its own stack. A thread of the agent looks, 25 times within the limit; what counts as
 * progress is each rule's (heartbeats.c, busy.c, mask.c).
 *
 *     limit_ms=N       how long no progress is a stall, 25..3600000; required
 *     rule=RULE        heartbeat, busy, mask or all; may be repeated; default heartbeat
 *                      and busy
 *     log=PATH         alarms are appended there instead of the program's stderr
 *
 * Times are CLOCK_MONOTONIC: a machine that sleeps does not stall. Where the watchdog itself did
 * not come to run (a debugger, a stopped program, a machine too busy), that time is nobody's fault.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include "../arguments.h"
#include "watchdog.h"

const struct nmi_host* host;
struct settings settings;
const struct nmircu_watchdog_parts* program;

static void* program_object; /* holds it where it is */
static uint64_t last_tick_ns;
static char path[1024];

static int read_rule(const char* text) {
    if (strcmp(text, "heartbeat") == 0)
        settings.rules |= WATCHDOG_HEARTBEAT;
    else if (strcmp(text, "busy") == 0)
        settings.rules |= WATCHDOG_BUSY;
    else if (strcmp(text, "mask") == 0)
        settings.rules |= WATCHDOG_MASK;
    else if (strcmp(text, "all") == 0)
        settings.rules |= WATCHDOG_HEARTBEAT | WATCHDOG_BUSY | WATCHDOG_MASK;
    else
        return 1;
    return 0;
}

static int read_arguments(const struct nmi_argument* arguments, uint32_t count, char* error,
                          uint32_t error_bytes) {
    for (uint32_t i = 0; i < count; ++i) {
        const char* const key = arguments[i].key;
        const char* const value = arguments[i].value;
        if (strcmp(key, "limit_ms") == 0) {
            uint32_t limit_ms;
            if (!read_number(value, 25, 3600000, &limit_ms))
                return refuse(error, error_bytes, "limit_ms is 25..3600000, not ", value);
            settings.limit_ns = limit_ms * UINT64_C(1000000);
        } else if (strcmp(key, "rule") == 0) {
            if (read_rule(value) != 0)
                return refuse(error, error_bytes, "rule is heartbeat, busy, mask or all, not ",
                              value);
        } else if (strcmp(key, "log") == 0) {
            if (value[0] != '/' || strlen(value) >= sizeof path)
                return refuse(error, error_bytes, "log is an absolute path, not ", value);
            strcpy(path, value);
            settings.log_path = path;
        } else {
            return refuse(error, error_bytes, "the keys are limit_ms, rule and log, not ", key);
        }
    }
    if (settings.limit_ns == 0)
        return refuse(error, error_bytes, "limit_ms is missing: try limit_ms=1000", "");
    if (settings.rules == 0) settings.rules = WATCHDOG_HEARTBEAT | WATCHDOG_BUSY;
    return 0;
}

/* The program's own core, if it has one: not ours, which is inside the agent and shows nothing. */
static void find_program(void) {
    typedef const struct nmircu_watchdog_parts* (*view_function)(void);
    view_function view = NULL;
    *(void**)&view = dlsym(RTLD_DEFAULT, "nmircu_watchdog_view");
    Dl_info where;
    if (view == NULL || dladdr(*(void**)&view, &where) == 0) return;
    const struct nmircu_watchdog_parts* const found = view();
    if (found->version != 1 || found->bytes < sizeof *found) return;
    /* Fails for the program itself, which stays anyway. */
    program_object = dlopen(where.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    program = found;
}

int is_due(uint64_t stalled_ns, uint32_t told) {
    uint64_t limit_ns = settings.limit_ns;
    for (; told > 0; --told)
        limit_ns *= 10;
    return stalled_ns >= limit_ns;
}

static void look_at_threads(uint64_t now_ns) {
    const int busy = (settings.rules & WATCHDOG_BUSY) != 0;
    const int mask = (settings.rules & WATCHDOG_MASK) != 0 && program != NULL;
    for (struct watched_thread* at = next_thread(NULL); at != NULL; at = next_thread(at)) {
        const int has_run = notice_run(at);
        if (busy && has_run) look_at_busy(at, now_ns);
        if (mask) look_at_mask(at, has_run, now_ns);
    }
}

static int begin(void) {
    last_tick_ns = host->now_ns();
    return open_log();
}

static void tick(void) {
    const uint64_t now_ns = host->now_ns();
    const uint64_t late_ns = now_ns - last_tick_ns;
    if (last_tick_ns != 0 && late_ns > 3 * settings.interval_ns + 20000000) {
        excuse_threads(late_ns);
        excuse_heartbeats(late_ns);
    }
    list_threads(now_ns);
    if (program != NULL) look_at_heartbeats(now_ns);
    look_at_threads(now_ns);
    last_tick_ns = host->now_ns();
}

static int init(const struct nmi_host* offered, const struct nmi_argument* arguments,
                uint32_t argument_count, char* error, uint32_t error_bytes) {
    host = offered;
    if (read_arguments(arguments, argument_count, error, error_bytes) != 0) return 1;
    settings.interval_ns = settings.limit_ns / 25;
    if (settings.interval_ns > 1000000000) settings.interval_ns = 1000000000;
    if (open_alarms(error, error_bytes) != 0) return 1;
    find_program();
    const struct nmi_periodic periodic = {
        .interval_us = (uint32_t)(settings.interval_ns / 1000), .begin = begin, .tick = tick};
    switch (host->periodic_start(&periodic)) {
        case 0:
            return 0;
        case -1:
            return refuse(error, error_bytes, "no thread could be started to look", "");
        default:
            return refuse(error, error_bytes, "cannot write to ", path);
    }
}

static int handler(struct pt_regs* regs, int cpu) {
    (void)cpu;
    return answer(regs);
}

static void leave(void) {
    if (program_object != NULL) dlclose(program_object);
}

const struct nmi_module nmi_module = {
    .abi = NMI_MODULE_ABI,
    .bytes = sizeof nmi_module,
    .name = "watchdog",
    .summary =
        "tells of threads and loops that show no progress; limit_ms=N[,rule=RULE][,log=PATH]",
    .init = init,
    .handler = handler,
    .exit = leave,
    .flags = NMI_MODULE_ASKS,
};
