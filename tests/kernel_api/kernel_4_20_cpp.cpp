// SPDX-License-Identifier: MIT
//
// Property: as kernel_4_20.c, in C++, in a file that includes the C++ interface too.
#include <nmircu/nmi.hpp>

#include "kernel_4_20.c"
