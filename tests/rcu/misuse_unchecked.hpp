// SPDX-License-Identifier: MIT
//
// What a translation unit without the checks does to those of misuse_test.cpp.
#pragma once

#include <cstdint>

#include <nmircu/detail/retire.hpp>

namespace nmircu_test {

// As a null pointer to an object of which this is a member: a null one, sanitizers report first.
template <class T>
T* nearly_null() {
    volatile std::uintptr_t offset = 64;
    return reinterpret_cast<T*>(offset);
}

void unchecked_lock();
void unchecked_unlock();
void unchecked_call(nmircu::rcu_head& head, void (*function)(nmircu::rcu_head*));
void unchecked_retire(int* object);
void unchecked_retire_null();

}  // namespace nmircu_test
