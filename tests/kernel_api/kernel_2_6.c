// SPDX-License-Identifier: MIT
//
// Property: the document's program as it was spelled in Linux 2.6 compiles and works, and so does
// the form of do_nmi that x86-64 had then, which counts in the per-processor data area.
#include <nmircu/kernel_api.h>

static int dummy_nmi_callback(struct pt_regs* regs, int cpu) {
    return 0;
}

static nmi_callback_t nmi_callback = dummy_nmi_callback;

#ifdef COUNT_IN_THE_PDA
fastcall void do_nmi(struct pt_regs* regs, long error_code) {
    int cpu = smp_processor_id();

    nmi_enter();
    add_pda(__nmi_count, 1);
    if (!rcu_dereference(nmi_callback)(regs, cpu)) default_do_nmi(regs);
    nmi_exit();
}
#else
fastcall void do_nmi(struct pt_regs* regs, long error_code) {
    int cpu;

    nmi_enter();

    cpu = smp_processor_id();
    ++nmi_count(cpu);

    if (!rcu_dereference(nmi_callback)(regs, cpu)) default_do_nmi(regs);

    nmi_exit();
}
#endif

void set_nmi_callback(nmi_callback_t callback) {
    rcu_assign_pointer(nmi_callback, callback);
}
EXPORT_SYMBOL_GPL(set_nmi_callback);

void unset_nmi_callback(void) {
    rcu_assign_pointer(nmi_callback, dummy_nmi_callback);
}
EXPORT_SYMBOL_GPL(unset_nmi_callback);

static void wait_for_handlers(void) {
    synchronize_sched();
}

#include "storm.h"
