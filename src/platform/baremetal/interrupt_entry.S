/* SPDX-License-Identifier: MIT
 *
 * The entries of every vector but 2: exceptions and IRQs.
 */
#include "platform/baremetal/layout.h"

/* What interrupt_common has pushed. */
    .macro pop_saved
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    .endm

    .text
    .globl interrupt_stubs, interrupt_common, interrupt_common_end

/* Sixteen bytes each. The exceptions that push an error code by themselves: SDM volume 3, table
 * 6-1. */
    .balign 16
interrupt_stubs:
    .set vector, 0
    .rept 256
    .balign 16
    .if vector != 8 && vector != 10 && vector != 11 && vector != 12 && vector != 13 && vector != 14 && vector != 17 && vector != 21 && vector != 29 && vector != 30
    pushq $0
    .endif
    pushq $vector
    jmp interrupt_common
    .set vector, vector + 1
    .endr

    .balign 64
interrupt_common:
    cld
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    /* GS may be a program's: in user mode, and in the first and last instructions of a system call.
     * Ours is the one whose area the GDT lies in. R12 says whether there is anything to put back,
     * R13 what. */
    xorl %r12d, %r12d
    subq $16, %rsp
    sgdt (%rsp)
    movl 2(%rsp), %ebx
    addq $16, %rsp
    andl $CPU_AREA_MASK, %ebx
    movl $IA32_GS_BASE, %ecx
    rdmsr
    shlq $32, %rdx
    orq %rdx, %rax
    cmpq %rax, %rbx
    jne interrupt_with_foreign_gs
interrupt_gs_is_ours:
    movq %rsp, %rdi
    call nmircu_take_interrupt

    /* Inside an NMI an IRET would let the next one in. */
    testb $3, REGS_CS(%rsp)
    jnz return_with_iret
    movq REGS_RSP(%rsp), %rdx
    movq %rdx, %rax
    subq %rbx, %rax
    subq $CPU_NMI_STACKS, %rax
    cmpq $CPU_NMI_STACKS, %rax
    jb return_without_iret
return_with_iret:
    testl %r12d, %r12d
    jnz put_gs_back
interrupt_restore:
    pop_saved
    addq $16, %rsp
    iretq

put_gs_back:
    call write_r13_to_gs
    jmp interrupt_restore

interrupt_with_foreign_gs:
    movl $1, %r12d
    movq %rax, %r13
    movl %ebx, %eax
    xorl %edx, %edx
    wrmsr
    jmp interrupt_gs_is_ours

write_r13_to_gs:
    movq %r13, %rax
    movq %r13, %rdx
    shrq $32, %rdx
    movl $IA32_GS_BASE, %ecx
    wrmsr
    ret

    /* RFLAGS and RIP go where the interrupted code's stack ends: nobody has anything below, and of
     * this frame only what has been read. Then POPF and RET do what IRET would have done. The
     * resume flag is lost (SDM volume 3, section 18.3.1.1): who sets an instruction breakpoint
     * inside an NMI disables it when it has been hit. */
return_without_iret:
    movq REGS_RIP(%rsp), %rcx
    cmpq $nmi_exit_begin, %rcx
    jb 2f
    cmpq $nmi_exit_end, %rcx
    jb return_into_nmi_exit
2:  movq REGS_RFLAGS(%rsp), %rax
    movq %rcx, -8(%rdx)
    movq %rax, -16(%rdx)
    subq $16, %rdx
    movq %rdx, REGS_VECTOR(%rsp)
    testl %r12d, %r12d
    jz 1f
    call write_r13_to_gs
1:  pop_saved
    popq %rsp                       /* what lies at REGS_VECTOR */
    popfq
    ret

    /* The interrupted code is the end of an NMI. If another one was latched meanwhile, nobody looks
     * for it any more: the NMI begins again. It wants what a C function keeps in the registers, and
     * the others at the top of its stack. At its IRET they do not lie there any more, for this frame
     * does; but they are in this frame. */
return_into_nmi_exit:
    cmpl $0, %gs:CPU_NMI_LATCHED
    je 2b
    movq %rdx, %r14
    movq %rcx, %r15
    testl %r12d, %r12d
    jz 3f
    call write_r13_to_gs
3:  leaq CPU_NMI_TOP_B(%rbx), %rax
    leaq CPU_NMI_TOP_B - REGS_BYTES(%rbx), %rdx
    cmpq %rax, %r14
    jbe 4f
    leaq CPU_NMI_TOP_A - REGS_BYTES(%rbx), %rdx
4:  cmpq $nmi_iret, %r15
    movq (%rsp), %r15
    movq 8(%rsp), %r14
    movq 16(%rsp), %r13
    movq 24(%rsp), %r12
    movq 80(%rsp), %rbp
    movq 88(%rsp), %rbx
    jne 5f
    .set offset, REGS_VECTOR - 8    /* upwards, the last one first */
    .rept 15
    movq offset(%rsp), %rax
    movq %rax, offset(%rdx)
    .set offset, offset - 8
    .endr
5:  movq %rdx, %rsp
    jmp nmi_repeat

interrupt_common_end:

    .section .note.GNU-stack, "", @progbits
