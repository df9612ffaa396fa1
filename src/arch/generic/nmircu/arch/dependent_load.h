/* SPDX-License-Identifier: MIT
 *
 * What rcu_dereference needs beyond a plain load, for C and C++: a barrier on Alpha, which reorders
 * a load after the load that its address depends on; nothing on anything else.
 */
#ifndef NMIRCU_ARCH_DEPENDENT_LOAD_H
#define NMIRCU_ARCH_DEPENDENT_LOAD_H

__attribute__((always_inline)) static inline void nmircu_dependent_load_barrier(void) {
#ifdef __alpha__
    __asm__ volatile("mb" ::: "memory");
#endif
}

#endif
