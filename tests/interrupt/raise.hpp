// SPDX-License-Identifier: MIT
//
// An NMI on the calling thread that has been handled when the call returns, also under
// ThreadSanitizer, which keeps an asynchronous signal until the thread's next atomic operation.
#pragma once

#include <atomic>

#include <nmircu/nmi.hpp>

inline void take_pending_signals() {
    static std::atomic<int> delivery_point{0};
    delivery_point.fetch_add(1, std::memory_order_relaxed);
}

inline int raise_here() {
    const int error = nmircu::nmi_raise_self();
    take_pending_signals();
    return error;
}
