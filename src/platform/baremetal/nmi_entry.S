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

/* What nmi_entry has saved, and the stack as the processor left it. */
    .macro restore_saved
    movq 32(%rsp), %r11
    movq 40(%rsp), %r10
    movq 48(%rsp), %r9
    movq 56(%rsp), %r8
    movq 64(%rsp), %rdi
    movq 72(%rsp), %rsi
    movq 96(%rsp), %rdx
    movq 104(%rsp), %rcx
    movq 112(%rsp), %rax
    addq $REGS_RIP, %rsp
    .endm

    .text
    .globl nmi_entry, nmi_entry_end, nmi_exit_begin, nmi_exit_end, nmi_iret, nmi_repeat

    .balign 64
nmi_entry:
    subq $REGS_RIP, %rsp
    cld                             /* SDM volume 3, section 6.12.1 leaves DF as it was */
    /* What a C function does not keep, and RBP for whoever walks the stack. */
    movq %rax, 112(%rsp)
    movq %rcx, 104(%rsp)
    movq %rdx, 96(%rsp)
    movq %rsi, 72(%rsp)
    movq %rdi, 64(%rsp)
    movq %r8, 56(%rsp)
    movq %r9, 48(%rsp)
    movq %r10, 40(%rsp)
    movq %r11, 32(%rsp)
    movq %rbp, 80(%rsp)

    /* Did we interrupt an NMI? Then the stack in use was one of these two. */
    movq REGS_RSP(%rsp), %rax
    xorq %rsp, %rax
    shrq $CPU_NMI_STACKS_SHIFT, %rax
    jz looks_like_an_nmi
nmi_first:
    /* The area is where the stack is; GS may still be somebody else's. */
    movl $IA32_GS_BASE, %ecx
    rdmsr
    movl %esp, %ecx
    andl $CPU_AREA_MASK, %ecx
    subl %eax, %ecx
    orl %edx, %ecx
    jnz first_with_foreign_gs
nmi_gs_is_ours:
    /* From here on the next NMI has the other stack. */
    xorq $CPU_NMI_TOGGLE, %gs:CPU_NMI_IST
nmi_look_at_cr2:
    movq %cr2, %rax
    movq %rax, REGS_CR2(%rsp)
    movq %rsp, %rdi
    call nmircu_take_nmi
    movq %cr2, %rax
    cmpq %rax, REGS_CR2(%rsp)
    jne put_back_cr2

    /* From the look at the latch on, an NMI that arrives sends us to nmi_repeat, for we would not
     * see it. That needs what lies on the stack: it stays, and stays above RSP, to the end; and
     * what a C function keeps, which we do not touch. */
nmi_exit_begin:
    cmpq $0, %gs:CPU_NMI_LATCHED    /* and CPU_NMI_GS_IS_FOREIGN, behind it */
    jne latched_or_foreign_gs
nmi_restore:
    restore_saved
nmi_iret:
    iretq

latched_or_foreign_gs:
    cmpl $0, %gs:CPU_NMI_LATCHED
    jne nmi_again
    movl %gs:CPU_NMI_FOREIGN_GS, %eax
    movl %gs:CPU_NMI_FOREIGN_GS + 4, %edx
    movl $IA32_GS_BASE, %ecx
    wrmsr
    movl %esp, %ecx
    andl $CPU_AREA_MASK, %ecx
    movl $0, CPU_NMI_GS_IS_FOREIGN(%rcx)    /* not earlier: nmi_repeat may need it */
    jmp nmi_restore
nmi_exit_end:

put_back_cr2:
    movq REGS_CR2(%rsp), %rax
    movq %rax, %cr2
    jmp nmi_exit_begin

nmi_again:
    movl $0, %gs:CPU_NMI_LATCHED
    jmp nmi_look_at_cr2

    /* EDX:EAX is not this CPU's area. */
first_with_foreign_gs:
    call take_gs
    jmp nmi_gs_is_ours

    /* Again, after an NMI that came too late to be latched: of the outer NMI there is nothing but
     * what lies on its stack, and GS may have been put back already, or not. */
nmi_repeat:
    movl $IA32_GS_BASE, %ecx
    rdmsr
    movl %esp, %ecx
    andl $CPU_AREA_MASK, %ecx
    subl %eax, %ecx
    orl %edx, %ecx
    jz nmi_again
    call take_gs
    jmp nmi_again

    /* Remembers the GS base in EDX:EAX, and makes it the area that the stack lies in. */
take_gs:
    movl %esp, %ecx
    andl $CPU_AREA_MASK, %ecx
    movl %eax, CPU_NMI_FOREIGN_GS(%rcx)
    movl %edx, CPU_NMI_FOREIGN_GS + 4(%rcx)
    movl $1, CPU_NMI_GS_IS_FOREIGN(%rcx)
    movl %ecx, %eax
    xorl %edx, %edx
    movl $IA32_GS_BASE, %ecx
    wrmsr
    ret

    /* The interrupted stack pointer leads to an NMI's stack. A program may have put it there: in
     * user mode, or where a system call has not taken its own stack yet. */
looks_like_an_nmi:
    testb $3, REGS_CS(%rsp)
    jnz nmi_first
    movq REGS_RIP(%rsp), %rax
    cmpq $syscall_entry, %rax
    jb interrupted_an_nmi
    cmpq $syscall_has_stack, %rax
    jb nmi_first
    cmpq $syscall_gave_stack_back, %rax
    jb interrupted_an_nmi
    cmpq $syscall_end, %rax
    jb nmi_first

    /* It was an NMI. Latch this one; if the other is past its look at the latch, send it back to
     * its beginning. */
interrupted_an_nmi:
    movl %esp, %ecx
    andl $CPU_AREA_MASK, %ecx
    movl $1, CPU_NMI_LATCHED(%rcx)
    subq $nmi_exit_begin, %rax
    cmpq $(nmi_exit_end - nmi_exit_begin), %rax
    jae nmi_restore_inner
    movq $nmi_repeat, REGS_RIP(%rsp)
    /* Its saved registers are at the top of its stack, which is the one that this is not. */
    leaq CPU_NMI_TOP_A - REGS_BYTES(%rcx), %rax
    cmpq %rax, %rsp
    jne 1f
    leaq CPU_NMI_TOP_B - REGS_BYTES(%rcx), %rax
1:  movq %rax, REGS_RSP(%rsp)
nmi_restore_inner:
    restore_saved
    iretq

nmi_entry_end:
    .section .note.GNU-stack, "", @progbits
