/* SPDX-License-Identifier: MIT
 *
 * Dynamic NMI handlers for C: install, replace, remove and free a callback while interrupts keep
 * arriving on every CPU, behind the library's own do_nmi.
 *
 * Smallest complete use:
 *
 *     static int count_hits(struct pt_regs* regs, int cpu) {       nmi context
 *         __atomic_fetch_add(&hits, 1, __ATOMIC_RELAXED);
 *         return 1;                                                handled
 *     }
 *
 *     nmi_attach();                                                once: take the interrupt
 *     set_nmi_callback(count_hits);
 *     nmi_raise_self();
 *     unset_nmi_callback();
 *     nmircu_synchronize_rcu();             (synchronize_rcu, if kernel_api.h is included as well)
 *                                           nobody is inside count_hits any more: free its data
 *
 * The functions are those of nmi.hpp, which is their manual: for each its contexts, whether it
 * blocks, its errors. A program that defines do_nmi and the callback by itself, as the kernel's
 * documents do, includes kernel_api.h instead; a file may include both if it defines none of the
 * names below. In C++, use nmi.hpp: this declares nothing but the prefixed functions there.
 */
#ifndef NMIRCU_NMI_H
#define NMIRCU_NMI_H

#include <nmircu/detail/nmi_c.h>

#ifndef __cplusplus

static inline void do_nmi(struct pt_regs* regs, long error_code) {
    nmircu_do_nmi(regs, error_code);
}
/* Context: any. The old callback may still be running: synchronize before freeing what it uses.
 * `callback` must not be null. */
static inline void set_nmi_callback(nmi_callback_t callback) {
    nmircu_set_nmi_callback(callback);
}
static inline void unset_nmi_callback(void) {
    nmircu_unset_nmi_callback();
}
/* Handles nothing; what unset_nmi_callback sets. */
static inline int dummy_nmi_callback(struct pt_regs* regs, int cpu) {
    return nmircu_dummy_nmi_callback(regs, cpu);
}

#ifndef nmi_count /* kernel_api.h's can be incremented, too */
static inline uint64_t nmi_count(int cpu) {
    return nmircu_nmi_count(cpu);
}
#endif

#endif

#endif
