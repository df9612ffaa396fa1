// SPDX-License-Identifier: MIT
//
// An rcu_synchronize that does not wait. The storm's control is linked so that every call in the
// program and in the library lands here (ld --wrap); everything else is what ships.
#include <nmircu/rcu.hpp>

// ld derives the name from the mangled one of nmircu::rcu_synchronize(rcu_domain&).
extern "C" void __wrap__ZN6nmircu15rcu_synchronizeERNS_10rcu_domainE(nmircu::rcu_domain&) {}
