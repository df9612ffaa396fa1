// SPDX-License-Identifier: MIT
//
// The Linux port: membarrier, rseq, futex and the clock. Contexts are those of platform/port.hpp.
#pragma once

#include <nmircu/platform/reader.hpp>

#include "platform/port.hpp"

namespace nmircu::platform {

struct port {
    // membarrier(2), PRIVATE_EXPEDITED. False where the kernel or a sandbox lacks it.
    static bool prepare_barrier_everyone() noexcept;
    static void barrier_everyone() noexcept;
    // /sys/devices/system/cpu/possible; detail::max_cpus where that cannot be read.
    static unsigned possible_cpus() noexcept;
    static unsigned current_cpu() noexcept;
    static unsigned current_thread() noexcept;
    // The rseq area that glibc (2.35 or later) registered for this thread, if it did.
    static void* per_cpu_area() noexcept;
    static wait_result wait(std::atomic<std::uint32_t>& word, std::uint32_t value,
                            std::uint64_t ns) noexcept;
    static void wake_all(std::atomic<std::uint32_t>& word) noexcept;
    static std::uint64_t now_ns() noexcept;
    static std::uint64_t cycles_to_ns(std::uint64_t cycles) noexcept;
    // A detached POSIX thread; the signals of interrupt sources stay open, so that it is profiled.
    static bool start_thread(void (*function)(), const char* name) noexcept;
    // atexit(3).
    static void at_exit(void (*function)()) noexcept;
    // Reads the threads' records from outside and interrupts those that cannot be read.
    static bool ask_every_reader(const reader_question& question) noexcept;
    // /proc/self/maps.
    static void name_code(const void* address, char* out, std::size_t bytes) noexcept;
    static void report(const char* text) noexcept;
    [[noreturn]] static void panic(const char* text) noexcept;
};
static_assert(platform_port<port>);

}  // namespace nmircu::platform
