// SPDX-License-Identifier: MIT
//
// A module that claims every interrupt and does nothing else.
#include <nmircu/module.h>

static int handle(struct pt_regs* regs, int cpu) {
    (void)regs;
    (void)cpu;
    return 1;
}

const struct nmi_module nmi_module = {
    .abi = NMI_MODULE_ABI,
    .bytes = sizeof(struct nmi_module),
    .name = "quiet",
    .summary = "claims every interrupt",
    .handler = handle,
};
