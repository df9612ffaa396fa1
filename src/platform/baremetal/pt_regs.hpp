// SPDX-License-Identifier: MIT
//
// The interrupted registers, as nmi_entry.S and interrupt_entry.S push them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "platform/baremetal/layout.h"

struct pt_regs {
    // R15 to R12 and RBX are not there in an NMI.
    std::uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    std::uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
    std::uint64_t vector;  // of an NMI: CR2 as it was
    std::uint64_t error;   // of an exception; of an NMI: its nmircu::nmi_type
    // By the processor: SDM volume 3, section 6.14.2.
    std::uint64_t rip, cs, rflags, rsp, ss;
};
static_assert(offsetof(pt_regs, vector) == REGS_VECTOR);
static_assert(offsetof(pt_regs, rip) == REGS_RIP);
static_assert(offsetof(pt_regs, cs) == REGS_CS);
static_assert(offsetof(pt_regs, rflags) == REGS_RFLAGS);
static_assert(offsetof(pt_regs, rsp) == REGS_RSP);
static_assert(sizeof(pt_regs) == REGS_BYTES);
