// SPDX-License-Identifier: MIT
//
// Names of the system calls in which threads are found waiting.
#pragma once

#include <string>

namespace nmircu::command {

// "system call 317" for one that is not in the list.
std::string system_call_name(long number);

}  // namespace nmircu::command
