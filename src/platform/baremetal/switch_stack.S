/* SPDX-License-Identifier: MIT
 *
 * From one thread's stack to another's, and to sleep: System V ABI, AMD64 supplement, figure 3.4.
 */
    .text
    .globl nmircu_switch_stack, nmircu_thread_begins, nmircu_halt, nmircu_halt_hlt

    .balign 16
nmircu_switch_stack:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret

/* The stack is aligned as after a call that did not happen; a backtrace ends here. */
nmircu_thread_begins:
    xorl %ebp, %ebp
    call nmircu_run_thread
    ud2

/* void nmircu_halt(): sleeps until an interrupt, with IRQs open meanwhile. STI keeps IRQs out until
 * after the next instruction (SDM volume 2); but if an NMI comes there, its IRET lets them in, before
 * the HLT. Such an IRQ then returns behind the HLT: irq_vector.cpp. */
nmircu_halt:
    sti
nmircu_halt_hlt:
    hlt                             /* one byte */
    cli
    ret

    .section .note.GNU-stack, "", @progbits
