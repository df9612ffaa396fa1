// SPDX-License-Identifier: MIT
//
// Raising signals that are lines, and handlers that note what came. A signal to the calling thread
// that it does not keep back has been handled when these return.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <vector>

#include <nmircu/irq.hpp>

#include "raise.hpp"

namespace irq_test {

inline int thread_id() {
    return static_cast<int>(::syscall(SYS_gettid));
}

// With information of its own, as sigqueue does it, to one thread. Returns 0 or -1.
inline long queue_to(int tid, int line, int value) {
    siginfo_t info = {};
    info.si_code = SI_QUEUE;
    info.si_pid = ::getpid();
    info.si_uid = ::getuid();
    info.si_value.sival_int = value;
    return ::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), tid, line, &info);
}
inline void queue_here(int line, int value) {
    static_cast<void>(queue_to(thread_id(), line, value));
    take_pending_signals();
}
inline void raise_line(int line) {
    ::syscall(SYS_tgkill, ::getpid(), thread_id(), line);
    take_pending_signals();
}

inline const siginfo_t& info_of(const pt_regs* regs) {
    return *static_cast<const siginfo_t*>(nmircu::irq_information(regs));
}

// A callable that notes the value of each signal; of one thread, in room reserved beforehand.
struct value_log {
    std::vector<int> values;

    value_log() { values.reserve(4096); }
    int operator()(pt_regs& regs, int) {
        values.push_back(info_of(&regs).si_value.sival_int);
        return nmircu::irq_handled;
    }
};

inline int count(void* cookie, pt_regs*, int) {
    static_cast<std::atomic<long>*>(cookie)->fetch_add(1, std::memory_order_relaxed);
    return nmircu::irq_handled;
}
inline int decline(void* cookie, pt_regs* regs, int line) {
    count(cookie, regs, line);
    return nmircu::irq_none;
}

}  // namespace irq_test
