// SPDX-License-Identifier: MIT
//
// Grace periods that nobody waits for. The program rcu_torture_no_wait is linked so that calls in
// the program and between the library's files land here (ld --wrap); everything else is what ships.
#include "rcu/engine.hpp"

// ld derives the names from the mangled ones: nmircu::rcu_synchronize(rcu_domain&),
// nmircu::rcu::wait_for_grace_period(unsigned long, unsigned long), nmircu::rcu::has_passed.
extern "C" {
extern const bool rcu_torture_does_not_wait;
const bool rcu_torture_does_not_wait = true;

void __wrap__ZN6nmircu15rcu_synchronizeERNS_10rcu_domainE(nmircu::rcu_domain&) {}
bool __wrap__ZN6nmircu3rcu21wait_for_grace_periodEmm(std::uint64_t, std::uint64_t) {
    return true;
}
bool __wrap__ZN6nmircu3rcu10has_passedEm(std::uint64_t) {
    return true;
}
}
