// SPDX-License-Identifier: MIT
//
// A thread is an idle CPU.
#include "baremetal/libc/threads.h"

#include "baremetal/scenario.hpp"

using namespace nmircu::baremetal;

namespace {

constexpr int again = 11, invalid = 22;  // EAGAIN, EINVAL

// By CPU.
struct started_thread {
    void* (*function)(void*);
    void* argument;
    void* result;
    bool joinable;
};
constinit started_thread started[nmircu::platform::max_cpus]{};

void run_thread(void* started_here) {
    auto& self = *static_cast<started_thread*>(started_here);
    self.result = self.function(self.argument);
}

}  // namespace

int nmircu_thread_create(unsigned long* thread, void* (*function)(void*), void* argument) {
    unsigned cpu = 1;
    while (cpu < cpus() && started[cpu].joinable)
        ++cpu;
    if (cpu >= cpus()) return again;
    started[cpu] = {function, argument, nullptr, true};
    start_on(cpu, run_thread, &started[cpu]);
    *thread = cpu + 1;
    return 0;
}

int nmircu_thread_join(unsigned long thread, void** result) {
    const unsigned long cpu = thread - 1;
    if (cpu >= cpus() || !started[cpu].joinable) return invalid;
    static_cast<void>(wait_for_cpu(static_cast<unsigned>(cpu)));
    started[cpu].joinable = false;
    if (result != nullptr) *result = started[cpu].result;
    return 0;
}

void nmircu_thread_yield() {
    std::atomic<std::uint32_t> never{0};
    nmircu::platform::port::wait(never, 0, 0);
}
