/* SPDX-License-Identifier: MIT
 *
 * The smallest useful NMI handler: counts the interrupts it sees and says how many when it is
 * unloaded. Built with nothing but a C compiler and module.h:
 *
 *     cc -shared -fPIC -ftls-model=initial-exec -o count.so count.c
 *     nmi load PID ./count.so
 *     nmi unload PID count
 */
#include <nmircu/module.h>
#include <stdio.h>

static unsigned long hits; /* only in here, only atomically: handlers run on all CPUs at once */

static int handler(struct pt_regs* regs, int cpu) { /* in the middle of somebody's instruction */
    (void)regs, (void)cpu;
    __atomic_fetch_add(&hits, 1, __ATOMIC_RELAXED);
    return 1; /* handled */
}

static void leave(void) { /* in a thread; no handler is running any more */
    fprintf(stderr, "count: %lu interrupts\n", __atomic_load_n(&hits, __ATOMIC_RELAXED));
}

const struct nmi_module nmi_module = {
    .abi = NMI_MODULE_ABI,
    .bytes = sizeof nmi_module,
    .name = "count",
    .summary = "counts interrupts",
    .handler = handler,
    .exit = leave,
};
