/* SPDX-License-Identifier: MIT
 * A module with one thing wrong with it, chosen by the macros. */
#include <nmircu/module.h>

#ifndef ABI
#define ABI NMI_MODULE_ABI
#endif
#ifndef BYTES
#define BYTES sizeof nmi_module
#endif
#ifndef MODULE_NAME
#define MODULE_NAME "wrong"
#endif
#ifndef SUMMARY
#define SUMMARY "has something wrong with it"
#endif
#ifndef HANDLER
#define HANDLER handler
#endif

#ifdef ABORTS_WHEN_LOADED
#include <stdlib.h>
__attribute__((constructor)) static void runs(void) {
    abort();
}
#endif
#ifdef NEEDS
void NEEDS(void);
__attribute__((constructor)) static void runs(void) {
    NEEDS();
}
#endif

__attribute__((unused)) static int handler(struct pt_regs* regs, int cpu) {
    (void)regs, (void)cpu;
    return 1;
}

#ifndef WITHOUT_SYMBOL
const struct nmi_module nmi_module = {
    .abi = ABI,
    .bytes = BYTES,
    .name = MODULE_NAME,
    .summary = SUMMARY,
    .handler = HANDLER,
};
#endif
