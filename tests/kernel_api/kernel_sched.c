// SPDX-License-Identifier: MIT
//
// Property: the document's program as it was spelled before Linux 4.20, with synchronize_sched,
// compiles and works.
#include <nmircu/kernel_api.h>

static int dummy_nmi_callback(struct pt_regs* regs, int cpu) {
    return 0;
}

static nmi_callback_t nmi_callback = dummy_nmi_callback;

void do_nmi(struct pt_regs* regs, long error_code) {
    int cpu;

    nmi_enter();

    cpu = smp_processor_id();
    ++nmi_count(cpu);

    if (!rcu_dereference_sched(nmi_callback)(regs, cpu)) default_do_nmi(regs);

    nmi_exit();
}

void set_nmi_callback(nmi_callback_t callback) {
    rcu_assign_pointer(nmi_callback, callback);
}

void unset_nmi_callback(void) {
    rcu_assign_pointer(nmi_callback, dummy_nmi_callback);
}

static void wait_for_handlers(void) {
    synchronize_sched();
}

#include "storm.h"
