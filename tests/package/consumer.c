// SPDX-License-Identifier: MIT
//
// What a consumer of the installed package builds with a C compiler: the kernel's names, with a
// do_nmi of its own. Exit status 0 if the handler was hit once and its data are gone.
#include <nmircu/kernel_api.h>
#include <nmircu/nmi.h>

static struct data {
    int hits;
    struct rcu_head rcu;
} * published;

static void entry(struct pt_regs* regs, long error_code) {
    struct data* data;
    (void)regs, (void)error_code;
    nmi_enter();
    ++nmi_count(smp_processor_id());
    data = rcu_dereference(published);
    if (data != NULL) __atomic_fetch_add(&data->hits, 1, __ATOMIC_RELAXED);
    nmi_exit();
}

int main(void) {
    struct data* const data = (struct data*)kzalloc(sizeof(*data), GFP_KERNEL);
    if (data == NULL || nmi_set_entry(entry) != 0) return 1;
    rcu_assign_pointer(published, data);
    if (nmi_raise_self() != 0) return 2;
    rcu_assign_pointer(published, NULL);
    synchronize_rcu();
    if (data->hits != 1) return 3;
    kfree_rcu(data, rcu);
    rcu_barrier();
    return nmi_set_entry(NULL);
}
