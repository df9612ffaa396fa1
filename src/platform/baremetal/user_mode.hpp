// SPDX-License-Identifier: MIT
//
// Running code in user mode on the calling CPU, as far as interrupt entries need it to be tried:
// one program at a time per CPU. Thread context.
#pragma once

#include <cstdint>

namespace nmircu::baremetal {

// On each CPU, once.
void start_user_mode() noexcept;

// What system calls with a number other than 0 do; its result is the call's. Context: thread, with
// IRQs masked.
using syscall_t = std::uint64_t (*)(std::uint64_t number, std::uint64_t argument);
void set_syscall(syscall_t function) noexcept;

// Runs the program at `instruction`, which gets `argument` in RDI and `gs_base` as its GS, until
// its system call 0, whose argument is returned. Its pages must be open to user mode.
std::uint64_t run_in_user_mode(std::uintptr_t instruction, std::uintptr_t stack_top,
                               std::uint64_t argument, std::uint64_t gs_base) noexcept;

}  // namespace nmircu::baremetal
