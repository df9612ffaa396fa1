// SPDX-License-Identifier: MIT
// The least that QEMU boots: writes TEXT to the serial line and STATUS to isa-debug-exit, or, with
// STATUS 0, stays where it is. For boot_test.py.
.code32
.section .text
.balign 4
    .long 0x1badb002, 0, -0x1badb002        // Multiboot 0.6.96, section 3.1.1
.globl start
start:
    mov $text, %esi
    mov $0x3f8, %edx
1:  lodsb
    test %al, %al
    jz 2f
    out %al, %dx
    jmp 1b
2:  mov $STATUS, %eax
    test %eax, %eax
    jz 3f
    out %eax, $0xf4
3:  hlt
    jmp 3b
text:
    .asciz TEXT
