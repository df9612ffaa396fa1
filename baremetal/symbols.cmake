# SPDX-License-Identifier: MIT
# Writes OUT, assembly, from the functions of IMAGE, with NM: what symbols.cpp looks names up in. The
# table lies behind all code, so the second link with it in place has the same addresses.
execute_process(COMMAND ${NM} -n -C --defined-only ${IMAGE}
    OUTPUT_VARIABLE lines RESULT_VARIABLE status)
if(NOT status EQUAL 0)
    message(FATAL_ERROR "cannot list the symbols of ${IMAGE} with ${NM}")
endif()
string(REPLACE ";" "," lines "${lines}")
string(REPLACE "[" "(" lines "${lines}")
string(REPLACE "]" ")" lines "${lines}")
string(REGEX REPLACE "[\\\\\"]" "'" lines "${lines}")
string(REPLACE "\n" ";" lines "${lines}")
set(addresses "")
set(names "")
set(texts "")
set(count 0)
set(last "")
foreach(line IN LISTS lines)
    if(line MATCHES "^0000000000?([0-9a-f]+) [tTwW] (.*)$")
        set(address ${CMAKE_MATCH_1})
        set(name "${CMAKE_MATCH_2}")
        if(address STREQUAL last)
            continue()
        endif()
        set(last ${address})
        string(REPLACE "(anonymous namespace)::" "" name "${name}")
        string(APPEND addresses "    .long 0x${address}\n")
        string(APPEND names "    .long ${count}f - nmircu_symbol_texts\n")
        string(APPEND texts "${count}: .asciz \"${name}\"\n")
        math(EXPR count "${count} + 1")
    endif()
endforeach()
file(WRITE ${OUT} "    .section .symbols, \"a\"
    .globl nmircu_symbol_count, nmircu_symbol_addresses, nmircu_symbol_names, nmircu_symbol_texts
    .balign 4
nmircu_symbol_count: .long ${count}
nmircu_symbol_addresses:
${addresses}nmircu_symbol_names:
${names}nmircu_symbol_texts:
${texts}
    .section .note.GNU-stack, \"\", @progbits
")
