// SPDX-License-Identifier: MIT
//
// A handler to be copied, run where it lies, and overwritten: protocol.cpp. Position-independent but
// for the address of its data, which the copier fills in. As nmi_callback_t and, if its first
// argument is ignored, as nmi_handler_t; context: nmi.

.text
.balign 16
.globl handler_code, handler_code_data, handler_code_end
handler_code:
    movabsq $0, %rdi                // struct generation_data: alive, hits, stale, rounds
handler_code_data:                  // ends with the data's address
    movq 24(%rdi), %rcx
1:  cmpl $0x600d, (%rdi)            // protocol.cpp: alive
    jne 2f
    pause
    decq %rcx
    jnz 1b
    lock incq 8(%rdi)
    movl $1, %eax
    ret
2:  lock incq 16(%rdi)
    movl $1, %eax
    ret
handler_code_end:

.section .note.GNU-stack, "", @progbits
