/* SPDX-License-Identifier: MIT
 *
 * The entry of vector 2. An NMI may arrive at any instruction of anybody's code: with a foreign GS
 * base, inside an exception, inside the exit of another NMI. docs/design/baremetal.md argues why
 * this is complete; in short:
 *
 *   - The processor pushes the frame on the stack that the TSS names. There are two, A and B; while
 *     an NMI runs on one of them the TSS names the other, so a frame in use is never overwritten.
 *   - An exception inside an NMI does not return with IRET (interrupt_entry.S), so NMIs stay masked
 *     until our own. If a handler executes an IRET by itself, the next NMI lands on the other
 *     stack, finds that it interrupted an NMI, is latched, and taken once more by the outer one.
 *   - GS is looked up, not trusted; CR2 is put back.
 */
#include "platform/baremetal/layout.h"

    .text
    .globl nmi_entry, nmi_entry_end, nmi_exit_begin, nmi_exit_end

    .balign 64
nmi_entry:
    subq $16, %rsp                  /* vector and error */
    cld                             /* SDM volume 3, section 6.12.1 leaves DF as it was */
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

    /* Did we interrupt an NMI? Then the stack in use was one of these two. */
    movq REGS_RSP(%rsp), %rax
    xorq %rsp, %rax
    shrq $CPU_NMI_STACKS_SHIFT, %rax
    jz interrupted_an_nmi

nmi_first:
    /* The area is where the stack is; GS may still be somebody else's. */
    movl $IA32_GS_BASE, %ecx
    rdmsr
    movl %esp, %ecx
    andl $CPU_AREA_MASK, %ecx
    subl %eax, %ecx
    orl %edx, %ecx
    jnz foreign_gs
    xorl %r12d, %r12d               /* nothing to put back */
gs_is_ours:
    xorq $CPU_NMI_TOGGLE, %gs:CPU_NMI_IST
    movq %cr2, %rbx
nmi_take:
    movl $0, %gs:CPU_NMI_LATCHED
    movq %rsp, %rdi
    call nmircu_take_nmi
    movq %cr2, %rax
    cmpq %rax, %rbx
    jne put_back_cr2
cr2_is_right:

    /* From the look at the latch on, an NMI that arrives makes us start again: it sends us to
     * nmi_repeat. Nothing below changes what lies on the stack. */
nmi_exit_begin:
    cmpl $0, %gs:CPU_NMI_LATCHED
    jne nmi_take
    testl %r12d, %r12d
    jnz put_back_gs
nmi_restore:
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
    addq $16, %rsp
    iretq
nmi_exit_end:

put_back_cr2:
    movq %rbx, %cr2
    jmp cr2_is_right

foreign_gs:
    /* r12: the flag; r13: what GS was. */
    movl $1, %r12d
    movq %rdx, %r13
    shlq $32, %r13
    movl %eax, %eax
    orq %rax, %r13
    movl %esp, %eax
    andl $CPU_AREA_MASK, %eax
    xorl %edx, %edx
    movl $IA32_GS_BASE, %ecx
    wrmsr
    jmp gs_is_ours

put_back_gs:
    movq %r13, %rax
    movq %r13, %rdx
    shrq $32, %rdx
    movl $IA32_GS_BASE, %ecx
    wrmsr
    jmp nmi_restore

interrupted_an_nmi:
    jmp interrupted_an_nmi

nmi_entry_end:
    .section .note.GNU-stack, "", @progbits
