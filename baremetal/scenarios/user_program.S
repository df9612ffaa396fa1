/* SPDX-License-Identifier: MIT
 *
 * A program for user mode: two system calls amid registers that must survive them, and a look at what
 * its own GS leads to. Pushes nothing, so that its stack may be anywhere. nesting.cpp.
 *
 * Begun at the other entry, it has a breakpoint before. System call 1 is expected to return its argument plus 1. The program ends with the sum of what it
 * finds: its argument + 1, 0x10 to 0x60 in the registers that a call keeps, and the word at GS:0.
 */
    .section .user, "awx", @progbits
    .globl user_program, user_program_end, user_program_with_exception, user_gs
    .balign 16
user_program_with_exception:
    int3
user_program:
    movl $0x10, %ebx
    movl $0x20, %ebp
    movl $0x30, %r12d
    movl $0x40, %r13d
    movl $0x50, %r14d
    movl $0x60, %r15d
    movl $1, %eax
    syscall
    addq %rbx, %rax
    addq %rbp, %rax
    addq %r12, %rax
    addq %r13, %rax
    addq %r14, %rax
    addq %r15, %rax
    addq %gs:0, %rax
    movq %rax, %rdi
    xorl %eax, %eax
    syscall
user_program_end:

    .balign 64
user_gs:
    .quad 0x7000
    .skip 256
    .globl user_stack_top
user_stack_top:

    .section .note.GNU-stack, "", @progbits
