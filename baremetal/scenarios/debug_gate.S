/* SPDX-License-Identifier: MIT
 *
 * What breakpoints.hpp needs of assembly.
 */
    .text

/* An entry of vector 1 that returns with IRET, whatever it interrupted: what the image's own entries
 * take care not to do, because IRET lets the next NMI in. On a stack that the TSS has for it; needs
 * no GS. */
    .globl debug_gate
debug_gate:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    cld
    leaq 72(%rsp), %rdi             /* the processor's frame: SDM volume 3, section 6.14.2 */
    call debug_gate_taken
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rax
    iretq

/* void take_nmi_without_iret(std::uint32_t icr_low): an NMI to this CPU, which leaves by a jump: the
 * processor masks all further ones until somebody executes an IRET. While it runs, vector 2 is
 * nmi_gate_without_iret. */
    .globl take_nmi_without_iret, nmi_gate_without_iret
take_nmi_without_iret:
    movl %edi, %eax
    movabsl %eax, 0xfee00300        /* ICR, SDM volume 3, section 11.6.1 */
1:  pause
    jmp 1b
nmi_gate_without_iret:
    movq 24(%rsp), %rsp             /* of the processor's frame */
    ret

/* void let_nmis_in() */
    .globl let_nmis_in
let_nmis_in:
    movq %rsp, %rax
    movq %ss, %rcx
    pushq %rcx
    pushq %rax
    pushfq
    movq %cs, %rcx
    pushq %rcx
    leaq 2f(%rip), %rcx
    pushq %rcx
    iretq
2:  ret

    .section .note.GNU-stack, "", @progbits
