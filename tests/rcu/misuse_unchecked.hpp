// SPDX-License-Identifier: MIT
//
// What a translation unit without the checks does to those of misuse_test.cpp.
#pragma once

namespace nmircu_test {

void unchecked_lock();
void unchecked_unlock();

}  // namespace nmircu_test
