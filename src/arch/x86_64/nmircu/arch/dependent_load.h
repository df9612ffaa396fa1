/* SPDX-License-Identifier: MIT
 *
 * What rcu_dereference needs beyond a plain load, for C and C++: nothing here. Only Alpha reorders
 * a load after the load that its address depends on.
 */
#ifndef NMIRCU_ARCH_DEPENDENT_LOAD_H
#define NMIRCU_ARCH_DEPENDENT_LOAD_H

__attribute__((always_inline)) static inline void nmircu_dependent_load_barrier(void) {}

#endif
