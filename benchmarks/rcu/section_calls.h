/* SPDX-License-Identifier: MIT */
/*
 * Entering and leaving a section as functions of a shared library: what a program pays that does
 * not inline, as liburcu's users do not unless they define _LGPL_SOURCE.
 */
#ifndef BENCH_RCU_SECTION_CALLS_H
#define BENCH_RCU_SECTION_CALLS_H

#ifdef __cplusplus
extern "C" {
#endif

__attribute__((visibility("default"))) void bench_enter_section(void);
__attribute__((visibility("default"))) void bench_leave_section(void);

#ifdef __cplusplus
}
#endif

#endif
