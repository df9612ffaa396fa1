// SPDX-License-Identifier: MIT
//
// What a translation unit without the checks does to those of misuse_test.cpp.
#pragma once

#include <nmircu/detail/retire.hpp>

namespace nmircu_test {

void unchecked_lock();
void unchecked_unlock();
void unchecked_call(nmircu::rcu_head& head, void (*function)(nmircu::rcu_head*));
void unchecked_retire(int* object);

}  // namespace nmircu_test
