// SPDX-License-Identifier: MIT
//
// An NMI, or any instruction of the caller's choice, in code whose registers are all known: each must
// be afterwards what it was before. Kernel stack, ring 0; SysV calling convention towards C++.

.section .rodata
.balign 8
patterns:
    .quad 0x0101010101010101, 0x0202020202020202, 0x0303030303030303, 0x0404040404040404
    .quad 0x0505050505050505, 0x0606060606060606, 0x0707070707070707, 0x0808080808080808
    .quad 0x0909090909090909, 0x0a0a0a0a0a0a0a0a, 0x0b0b0b0b0b0b0b0b, 0x0c0c0c0c0c0c0c0c
    .quad 0x0d0d0d0d0d0d0d0d, 0x0e0e0e0e0e0e0e0e

.text
// CF, PF, AF, ZF, SF, OF and the direction flag (SDM volume 1, figure 3-8); what of them is set here.
.set flags_mask, 0xcd5
.set flags_set, 0x4d1

.macro keep register, at
    movq patterns + 8 * \at(%rip), %\register
.endm
.macro check register, at
    cmpq patterns + 8 * \at(%rip), %\register
    jne 2f
.endm

// unsigned known_registers_raise(std::uint32_t icr_low): stores to the ICR of a local APIC whose
// destination is set already. 0: everything is as it was; 1: a register is not; 2: the flags; 3: the
// 128 bytes below the stack pointer that belong to the interrupted function.
.globl known_registers_raise
known_registers_raise:
    pushfq
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdi
    movl %edi, %eax
    movq patterns(%rip), %rbx
    .set at, -16
    .rept 14
    movq %rbx, at(%rsp)
    .set at, at - 8
    .endr
    pushq $flags_set | 2
    popfq
    // IRQs are masked now, which NMIs do not care about.
    keep rbx, 0
    keep rcx, 1
    keep rdx, 2
    keep rsi, 3
    keep rdi, 4
    keep rbp, 5
    keep r8, 6
    keep r9, 7
    keep r10, 8
    keep r11, 9
    keep r12, 10
    keep r13, 11
    keep r14, 12
    keep r15, 13
.globl known_registers_at
    movabsl %eax, 0xfee00300        // ICR, SDM volume 3, section 11.6.1
    jmp known_registers_at          // an emulator looks for interrupts where it jumps to
known_registers_at:
    .rept 16
    nop
    .endr
    pushfq
    cld
    cmpl 8(%rsp), %eax
    jne 2f
    check rbx, 0
    check rcx, 1
    check rdx, 2
    check rsi, 3
    check rdi, 4
    check rbp, 5
    check r8, 6
    check r9, 7
    check r10, 8
    check r11, 9
    check r12, 10
    check r13, 11
    check r14, 12
    check r15, 13
    popq %rcx
    movl $2, %eax
    andl $flags_mask, %ecx
    cmpl $flags_set, %ecx
    jne 3f
    movl $3, %eax
    .set at, -16
    .rept 14
    cmpq %rbx, at(%rsp)
    jne 3f
    .set at, at - 8
    .endr
    xorl %eax, %eax
    jmp 3f
2:  popq %rcx
    movl $1, %eax
3:  popq %rdi
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    popfq
    ret

.section .note.GNU-stack, "", @progbits
