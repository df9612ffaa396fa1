// SPDX-License-Identifier: MIT
//
// A module built for a later version of module.h. Its constructor must never run in anybody's
// program.
#include <stdlib.h>

#include <nmircu/module.h>

__attribute__((constructor)) static void run_on_load(void) {
    abort();
}

static int handle(struct pt_regs* regs, int cpu) {
    (void)regs;
    (void)cpu;
    return 0;
}

const struct nmi_module nmi_module = {
    .abi = NMI_MODULE_ABI + 1,
    .bytes = sizeof(struct nmi_module),
    .name = "next",
    .handler = handle,
};
