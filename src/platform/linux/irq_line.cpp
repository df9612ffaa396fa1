// SPDX-License-Identifier: MIT
//
// Which signals can be lines.
#include <nmircu/platform/irq_line.hpp>

#include <csignal>

#include "platform/linux/signal_tag.hpp"

namespace nmircu::platform {

namespace {

// glibc's thread cancellation and setuid; its SIGRTMIN comes after them.
constexpr int first_queueing = 32, last_of_libc = 33;

}  // namespace

line_kind kind_of_line(int line) noexcept {
    if (line < 1 || line >= irq_line_limit) return line_kind::none;
    switch (line) {
        case SIGKILL:
        case SIGSTOP:
            return line_kind::unstoppable;
        case SIGSEGV:
        case SIGBUS:
        case SIGFPE:
        case SIGILL:
        case SIGTRAP:
        case SIGABRT:
        case SIGSYS:
            return line_kind::fault;
        case nmi_signal:
            return line_kind::of_nmis;
        default:
            break;
    }
    const bool reserved = line >= first_queueing && line <= last_of_libc;
    return reserved ? line_kind::of_libc : line_kind::usable;
}

bool line_queues(int line) noexcept {
    return line >= first_queueing;
}

}  // namespace nmircu::platform
