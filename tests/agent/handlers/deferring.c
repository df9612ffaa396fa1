/* SPDX-License-Identifier: MIT
 *
 * Queues from every interrupt; its exit stops the program if anything it queued has not run. */
#include <nmircu/module.h>

#include <stddef.h>
#include <stdlib.h>
#include <time.h>

static const struct nmi_host* host;
static unsigned long accepted, runs;

static void run(struct nmi_deferred* item) {
    (void)item;
    const struct timespec moment = {0, 200000};
    nanosleep(&moment, NULL); /* the unload may begin meanwhile */
    __atomic_fetch_add(&runs, 1, __ATOMIC_RELAXED);
}

static struct nmi_deferred items[2] = {{run, NULL, 0}, {run, NULL, 0}};

static int init(const struct nmi_host* offered, const struct nmi_argument* arguments,
                uint32_t argument_count, char* error, uint32_t error_bytes) {
    (void)arguments, (void)argument_count;
    host = offered;
    if (error_bytes > 0) error[0] = '\0';
    if (host->bytes < offsetof(struct nmi_host, defer) + sizeof host->defer) return 1;
    return host->defer_start() == 1 ? 0 : 2;
}

static int handler(struct pt_regs* regs, int cpu) {
    (void)regs, (void)cpu;
    for (int i = 0; i < 2; ++i) {
        if (host->defer(&items[i])) __atomic_fetch_add(&accepted, 1, __ATOMIC_RELAXED);
    }
    return 1;
}

static void leave(void) {
    if (accepted == 0 || runs != accepted) abort();
}

const struct nmi_module nmi_module = {
    .abi = NMI_MODULE_ABI,
    .bytes = sizeof nmi_module,
    .name = "deferring",
    .summary = "queues deferred work",
    .init = init,
    .handler = handler,
    .exit = leave,
};
