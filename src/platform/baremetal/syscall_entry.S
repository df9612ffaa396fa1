/* SPDX-License-Identifier: MIT
 *
 * Into user mode and back: SYSCALL and SYSRET, SDM volume 2. Between SYSCALL and the two moves after
 * SWAPGS, and again from the pop of RSP on, neither GS nor RSP is ours; only NMIs may arrive there,
 * for IA32_FMASK masks the rest.
 */
#include "platform/baremetal/layout.h"

    .text
    .globl syscall_entry, syscall_has_stack, syscall_gave_stack_back, syscall_end
    .globl nmircu_enter_user

/* RAX 0: back to whoever called nmircu_enter_user, which returns RDI. Any other: calls
 * nmircu_take_syscall(RAX, RDI), whose result is in RAX afterwards. The program keeps only what a C
 * function keeps. */
    .balign 16
syscall_entry:
    swapgs
    movq %rsp, %gs:CPU_USER_RSP
    movq %gs:CPU_SYSCALL_RSP, %rsp
syscall_has_stack:
    pushq %gs:CPU_USER_RSP
    pushq %r11                      /* RFLAGS */
    pushq %rcx                      /* RIP */
    subq $8, %rsp                   /* aligned, as a call wants it */
    testq %rax, %rax
    jz leave_user
    movq %rdi, %rsi
    movq %rax, %rdi
    call nmircu_take_syscall
    addq $8, %rsp
    popq %rcx
    popq %r11
    cli
    popq %rsp
syscall_gave_stack_back:
    swapgs
    sysretq
syscall_end:

leave_user:
    movq %rdi, %rax
    movq %gs:CPU_SYSCALL_RSP, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    popfq
    ret

/* nmircu_enter_user(RIP, RSP, argument): the program's RDI is the argument. */
    .balign 16
nmircu_enter_user:
    pushfq
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cli
    movq %rsp, %gs:CPU_SYSCALL_RSP
    movq %rsp, %gs:CPU_RSP0
    movq %rdi, %rcx
    movq %rdx, %rdi
    movl $0x202, %r11d              /* IF, and bit 1, which is always set */
    xorl %ebp, %ebp
    movq %rsi, %rsp
    jmp syscall_gave_stack_back

    .section .note.GNU-stack, "", @progbits
