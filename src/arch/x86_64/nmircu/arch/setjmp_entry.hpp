// SPDX-License-Identifier: MIT
//
// libc's two setjmp functions with a look at the caller before (platform/linux/jump_check.cpp, the
// only file that includes this): they note the call and jump on with the stack and the return
// address as they found them, since that is what libc remembers. Weak: a sanitizer's own come
// first.
#pragma once

// nmircu_note_setjmp(buffer, return address) returns libc's __sigsetjmp.
asm(R"(
        .pushsection .text.nmircu_setjmp, "ax", @progbits
        .weak _setjmp
        .type _setjmp, @function
_setjmp:
        .cfi_startproc
        endbr64
        xorl %esi, %esi
        jmp 1f
        .cfi_endproc
        .size _setjmp, . - _setjmp

        .weak __sigsetjmp
        .type __sigsetjmp, @function
__sigsetjmp:
        .cfi_startproc
        endbr64
1:      pushq %rdi
        .cfi_adjust_cfa_offset 8
        pushq %rsi
        .cfi_adjust_cfa_offset 8
        subq $8, %rsp
        .cfi_adjust_cfa_offset 8
        movq 24(%rsp), %rsi
        call nmircu_note_setjmp
        addq $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq %rsi
        .cfi_adjust_cfa_offset -8
        popq %rdi
        .cfi_adjust_cfa_offset -8
        jmp *%rax
        .cfi_endproc
        .size __sigsetjmp, . - __sigsetjmp
        .popsection
)");
