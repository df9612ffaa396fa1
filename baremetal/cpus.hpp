// SPDX-License-Identifier: MIT
//
// Starting the other CPUs, and having them do something. Thread context.
#pragma once

#include <cstdint>

namespace nmircu::baremetal {

struct machine_description;

// Starts CPUs until there are `wanted`, numbered in the order of the firmware's table, the running
// one being 0. One that does not answer in time: ends the machine with a line.
void start_cpus(const machine_description& machine, unsigned wanted) noexcept;

// Has another CPU's first thread call function(argument), as soon as it has nothing else to do.
void give_work(unsigned cpu, void (*function)(void*), void* argument) noexcept;
// Until all that was given to the CPU is done. False: `most_ns` have passed.
bool wait_for_work(unsigned cpu, std::uint64_t most_ns) noexcept;

}  // namespace nmircu::baremetal
