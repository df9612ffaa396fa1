// SPDX-License-Identifier: MIT
//
// A module whose init says no, in two lines although it should be one.
#include <nmircu/module.h>

static int init(const struct nmi_host* host, const struct nmi_argument* arguments, uint32_t count,
                char* error, uint32_t error_bytes) {
    static const char text[] = "the moon is in the wrong phase\nwait a week";
    (void)host;
    (void)arguments;
    (void)count;
    for (uint32_t i = 0; i < sizeof text && i < error_bytes; ++i)
        error[i] = text[i];
    return 1;
}

static int handle(struct pt_regs* regs, int cpu) {
    (void)regs;
    (void)cpu;
    return 0;
}

const struct nmi_module nmi_module = {
    .abi = NMI_MODULE_ABI,
    .bytes = sizeof(struct nmi_module),
    .name = "quiet",  // so that it can be asked to take quiet's place
    .summary = "never loads",
    .init = init,
    .handler = handle,
};
