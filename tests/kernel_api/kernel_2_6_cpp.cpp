// SPDX-License-Identifier: MIT
//
// Property: as kernel_2_6.c, in C++, in a file that includes the C++ interface too.
#include <nmircu/nmi.hpp>

#include "kernel_2_6.c"
