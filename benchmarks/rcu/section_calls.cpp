// SPDX-License-Identifier: MIT
//
// See section_calls.h.
#include "section_calls.h"

#include <nmircu/rcu.hpp>

void bench_enter_section() {
    nmircu::rcu_default_domain().lock();
}
void bench_leave_section() {
    nmircu::rcu_default_domain().unlock();
}
