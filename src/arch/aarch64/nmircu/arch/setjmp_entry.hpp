// SPDX-License-Identifier: MIT
//
// libc's two setjmp functions with a look at the caller before (platform/linux/jump_check.cpp, the
// only file that includes this): they note the call and jump on with the stack and the return
// address as they found them, since that is what libc remembers. Weak: a sanitizer's own come
// first.
#pragma once

// nmircu_note_setjmp(buffer, return address) returns libc's __sigsetjmp.
asm(R"(
        .pushsection .text.nmircu_setjmp, "ax", %progbits
        .p2align 2
        .weak _setjmp
        .type _setjmp, %function
_setjmp:
        .cfi_startproc
        hint #34
        mov w1, #0
        b 1f
        .cfi_endproc
        .size _setjmp, . - _setjmp

        .weak __sigsetjmp
        .type __sigsetjmp, %function
__sigsetjmp:
        .cfi_startproc
        hint #34
1:      stp x29, x30, [sp, #-32]!
        .cfi_def_cfa_offset 32
        .cfi_offset x29, -32
        .cfi_offset x30, -24
        stp x0, x1, [sp, #16]
        mov x1, x30
        bl nmircu_note_setjmp
        mov x16, x0
        ldp x0, x1, [sp, #16]
        ldp x29, x30, [sp], #32
        .cfi_restore x29
        .cfi_restore x30
        .cfi_def_cfa_offset 0
        br x16
        .cfi_endproc
        .size __sigsetjmp, . - __sigsetjmp
        .popsection
)");
