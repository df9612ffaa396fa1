/* SPDX-License-Identifier: MIT
 *
 * Offsets that assembly and C++ share; cpu_area.hpp and pt_regs.hpp assert them. Constants only.
 */
#ifndef NMIRCU_BAREMETAL_LAYOUT_H
#define NMIRCU_BAREMETAL_LAYOUT_H

/* A CPU's area: 64 KiB, aligned to that, so that any stack in it leads to its start. */
#define CPU_AREA_BYTES 0x10000
#define CPU_AREA_MASK 0xffff0000

/* In the area. */
#define CPU_NMI_LATCHED 24
#define CPU_NMI_GS_IS_FOREIGN 28
#define CPU_NMI_FOREIGN_GS 32
#define CPU_USER_RSP 40
#define CPU_SYSCALL_RSP 48
#define CPU_RSP0 0x184
#define CPU_NMI_IST 0x1a4
/* Two stacks for NMIs, taken in turn, in the upper half; the exclusive or of their tops. */
#define CPU_NMI_STACKS 0x8000
#define CPU_NMI_STACKS_SHIFT 15
#define CPU_NMI_TOP_A 0xfff0
#define CPU_NMI_TOP_B 0xbff0
#define CPU_NMI_TOGGLE 0x4000

/* In struct pt_regs. */
#define REGS_VECTOR 120
#define REGS_CR2 120 /* of an NMI */
#define REGS_RIP 136
#define REGS_CS 144
#define REGS_RFLAGS 152
#define REGS_RSP 160
#define REGS_BYTES 176

/* Selectors, SDM volume 3, section 3.4.2. The order suits SYSCALL and SYSRET. */
#define SELECTOR_CODE 0x08
#define SELECTOR_DATA 0x10
#define SELECTOR_USER_DATA 0x1b
#define SELECTOR_USER_CODE 0x23
#define SELECTOR_TSS 0x28

/* SDM volume 4, table 2-2. */
#define IA32_STAR 0xc0000081
#define IA32_LSTAR 0xc0000082
#define IA32_FMASK 0xc0000084
#define IA32_GS_BASE 0xc0000101
#define IA32_KERNEL_GS_BASE 0xc0000102

#endif
