// SPDX-License-Identifier: MIT
//
// Threads, as few as the engine needs: each has a stack and a record of its own, stays on the CPU
// that started it, and gives it up only where it waits (Port::wait). A CPU none of whose threads
// can go on is halted. Thread context, where nothing else is said.
//
//   variable         written by               read by         protection
//   a thread's word  itself                   who wakes       [BT-1] with [BT-2]
//   halted           the CPU                  who wakes       [BT-1] with [BT-2]
//   threads (ring)   the CPU, never shortened anybody         [BT-3] with [BT-4]
#pragma once

#include <atomic>
#include <cstdint>

#include <nmircu/detail/reader_state.hpp>

namespace nmircu::baremetal {

struct cpu_area;

struct thread {
    detail::reader_state reader;
    std::uint64_t stack_pointer;  // while it does not run
    // What it waits for; null: it can run.
    std::atomic<std::atomic<std::uint32_t>*> word;
    std::uint32_t value;
    std::uint64_t until_ns;
    void (*function)();
    std::atomic<thread*> next;
    cpu_area* cpu;
    unsigned number;
    char name[16];
};

// The first thread of a CPU: who calls it. GS leads to the area already.
void become_first_thread(cpu_area& cpu) noexcept;

// The thread record of a CPU's first thread.
[[nodiscard]] thread& first_thread(unsigned cpu) noexcept;

}  // namespace nmircu::baremetal
