// SPDX-License-Identifier: MIT
//
// An interrupt on Linux: the signal's two arguments, on the trampoline's stack.
#pragma once

#include <ucontext.h>
#include <csignal>

#include <nmircu/nmi.hpp>

struct pt_regs {
    ucontext_t* context;
    siginfo_t* info;
    nmircu::nmi_type type;
    bool forward;  // set by hand_to_previous_owner
};
