// SPDX-License-Identifier: MIT
//
// The rows of bench_interrupt that have files of their own. They install what they need, and
// nothing of it is left afterwards but signal handlers that nobody raises.
#pragma once

#include "table.hpp"

namespace bench {

// parallel.cpp: several threads in the handler at once, beside locks.
void run_parallel(table& to);
// registration.cpp: p50 and p99 of registering and unregistering under a storm.
void run_registration(table& to);

}  // namespace bench
