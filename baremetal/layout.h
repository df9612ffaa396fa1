/* SPDX-License-Identifier: MIT
 *
 * Numbers that assembly and C++ of the image share. Constants only.
 */
#ifndef NMIRCU_BAREMETAL_IMAGE_LAYOUT_H
#define NMIRCU_BAREMETAL_IMAGE_LAYOUT_H

/* Where the other CPUs begin: a page below 1 MiB. */
#define TRAMPOLINE 0x8000

/* QEMU's isa-debug-exit: the emulator's exit status is 2 * value + 1. */
#define EXIT_PORT 0xf4
#define EXIT_PASS 0x10
#define EXIT_FAIL 0x11
#define EXIT_PANIC 0x12

#endif
