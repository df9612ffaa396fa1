/* SPDX-License-Identifier: MIT
 *
 * The symbol table of the first link, from which the second one's is made: empty.
 */
    .section .symbols, "a"
    .globl nmircu_symbol_count, nmircu_symbol_addresses, nmircu_symbol_names, nmircu_symbol_texts
    .balign 4
nmircu_symbol_count: .long 0
nmircu_symbol_addresses:
nmircu_symbol_names:
nmircu_symbol_texts:

    .section .note.GNU-stack, "", @progbits
