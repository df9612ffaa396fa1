// SPDX-License-Identifier: MIT
//
// The part of misuse_test.cpp that was compiled without the checks, as release code is.
#define NMIRCU_DEBUG 0
#include "misuse_unchecked.hpp"

#include <nmircu/rcu.hpp>

#include "../sites.hpp"

namespace nmircu_test {

NMIRCU_SITE(unchecked_locker) void unchecked_lock() {
    nmircu::rcu_default_domain().lock();
}
void unchecked_unlock() {
    nmircu::rcu_default_domain().unlock();
}
NMIRCU_SITE(unchecked_caller)
void unchecked_call(nmircu::rcu_head& head, void (*function)(nmircu::rcu_head*)) {
    nmircu::rcu_call(head, function);
    asm volatile("");
}
void unchecked_retire(int* object) {
    nmircu::rcu_retire(object);
}

struct unchecked_object : nmircu::rcu_obj_base<unchecked_object> {};
void unchecked_retire_null() {
    nearly_null<unchecked_object>()->retire();
}

}  // namespace nmircu_test
