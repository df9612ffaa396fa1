// SPDX-License-Identifier: MIT
//
// The bare machine's port. Contexts are those of platform/port.hpp. A thread here is a stack of its
// own that runs on the CPU which started it, until it waits (src/platform/baremetal/threads.hpp).
#pragma once

#include <nmircu/platform/reader.hpp>

#include "platform/port.hpp"

namespace nmircu::platform {

struct port {
    // Readers count with full barriers of their own.
    static bool prepare_barrier_everyone() noexcept { return true; }
    static void barrier_everyone() noexcept;
    // CPUs that have been started.
    static unsigned possible_cpus() noexcept;
    [[gnu::always_inline]] static unsigned current_cpu() noexcept {
        unsigned cpu;
        asm("movl %%gs:%c1, %0" : "=r"(cpu) : "i"(gs_cpu));
        return cpu;
    }
    // A multiple of max_cpus, plus the thread's CPU; a CPU's first thread has the CPU's number.
    static unsigned current_thread() noexcept;
    static void* per_cpu_area() noexcept {
        return reinterpret_cast<void*>(std::uintptr_t{current_cpu()} + 1);
    }
    // Lets the CPU's other threads run; if none can, halts the CPU.
    static wait_result wait(std::atomic<std::uint32_t>& word, std::uint32_t value,
                            std::uint64_t ns) noexcept;
    // Interrupts those CPUs that are halted with a thread waiting for the word.
    static void wake_all(std::atomic<std::uint32_t>& word) noexcept;
    static std::uint64_t now_ns() noexcept;
    static std::uint64_t cycles_to_ns(std::uint64_t cycles) noexcept;
    // On the calling CPU. IRQs are open in it.
    static bool start_thread(void (*function)(), const char* name) noexcept;
    // The machine does not end normally.
    static void at_exit(void (*)()) noexcept {}
    // By an NMI to each CPU.
    static bool ask_every_reader(const reader_question& question) noexcept;
    // From the image's own symbol table.
    static void name_code(const void* address, char* out, std::size_t bytes) noexcept;
    static void report(const char* text) noexcept;
    [[noreturn]] static void panic(const char* text) noexcept;
};
static_assert(platform_port<port>);

}  // namespace nmircu::platform
