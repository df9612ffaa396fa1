// SPDX-License-Identifier: MIT
//
// What can be seen of another thread of this process without disturbing it. Context: thread; no
// heap.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>

namespace nmircu::platform {

// The CPU clock of any thread of the process: include/linux/posix-timers_types.h,
// make_thread_cpuclock(tid, CPUCLOCK_SCHED).
constexpr clockid_t cpu_clock_of(int thread_id) {
    return static_cast<clockid_t>((~static_cast<unsigned>(thread_id) << 3) | 6u);
}

// The CPU time it has had, in nanoseconds, up to this moment; 0.3 us. Empty: it has ended.
std::optional<std::uint64_t> cpu_time_of(int thread_id);

// Its state letter of proc(5), stat; '?': not known. 5 us.
char state_of(int thread_id);

// Whether it sleeps in a system call that was made, or goes on, at that instruction and with that
// stack pointer. 5 us.
bool sleeps_at(int thread_id, std::uint64_t instruction, std::uint64_t stack);

}  // namespace nmircu::platform
