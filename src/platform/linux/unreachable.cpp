// SPDX-License-Identifier: MIT
//
// What /proc tells about threads that a signal does not interrupt. Context: thread; does not
// allocate.
#include <nmircu/platform/unreachable.hpp>

#include <sys/syscall.h>
#include <unistd.h>

#include "platform/linux/proc_self.hpp"
#include "platform/linux/signal_tag.hpp"
#include "platform/linux/signal_vector.hpp"

namespace nmircu::platform {

namespace {

using reason = nmi_unreachable_reason;

bool has(std::uint64_t set, int signal) noexcept {
    return (set >> (signal - 1) & 1) != 0;
}

// The signals that a thread is to be reached by, and of those the ones that find the trampoline.
struct our_signals {
    int wanted[2];
    unsigned count;
    int lost = 0;  // wanted, and not ours now

    our_signals() noexcept
        : wanted{nmi_signal, perf_signal}, count(is_attached(perf_signal) ? 2 : 1) {
        for (unsigned i = count; i-- != 0;) {
            if (!is_attached(wanted[i]) || !is_ours(wanted[i])) lost = wanted[i];
        }
    }
    // 0: none.
    [[nodiscard]] int first_in(std::uint64_t set) const noexcept {
        for (unsigned i = 0; i < count; ++i) {
            if (has(set, wanted[i])) return wanted[i];
        }
        return 0;
    }
};

// Every thread blocks everything for a moment now and then: in libc, or in an NMI. So twice.
std::uint64_t blocked_for_long(std::uint32_t thread, const task_status& first) noexcept {
    task_status second;
    ::syscall(SYS_sched_yield);
    if (first.blocked == 0 || !read_task_status(thread, nmi_signal, second)) return 0;
    return first.blocked & second.blocked;
}

bool is_unreachable(std::uint32_t thread, const our_signals& ours,
                    nmi_unreachable_thread& out) noexcept {
    task_status status;
    if (!read_task_status(thread, nmi_signal, status) || status.of_the_kernel) return false;
    out.tid = static_cast<std::int32_t>(thread);
    out.state = status.state;
    read_task_name(thread, out.name, sizeof(out.name));
    const auto because = [&out](reason why, int signal) {
        out.reason = why;
        out.signal = signal;
        return true;
    };
    switch (status.state) {
        case 'X':
            return false;  // on its way out of the list; a Z may be the first thread, which stays
        case 'Z':
            return because(reason::ended, ours.wanted[0]);
        case 'T':
        case 't':
            return because(reason::stopped, ours.wanted[0]);
        default:
            break;
    }
    if (ours.lost != 0) return because(reason::not_attached, ours.lost);
    if (ours.first_in(status.blocked) != 0) {
        const int signal = ours.first_in(blocked_for_long(thread, status));
        if (signal != 0) return because(reason::blocks_signal, signal);
    }
    if (const int signal = ours.first_in(read_task_awaited(thread)); signal != 0) {
        return because(reason::waits_for_signal, signal);
    }
    return status.state == 'D' && because(reason::sleeps_uninterruptibly, ours.wanted[0]);
}

}  // namespace

std::size_t list_unreachable(nmi_unreachable_thread* out, std::size_t most) noexcept {
    constexpr int most_walks = 8;
    const our_signals ours;
    std::size_t count = 0;
    for (int walk = 0; walk < most_walks; ++walk) {
        task_walk threads;
        count = 0;
        bool any = false;
        while (const std::uint32_t thread = threads.next()) {
            any = true;
            nmi_unreachable_thread one{};
            if (!is_unreachable(thread, ours, one)) continue;
            if (count < most) out[count] = one;
            ++count;
        }
        if (!any) return nmi_threads_unknown;
        // The kernel ends a walk early when the thread it stands on exits.
        if (threads.complete()) break;
    }
    return count;
}

}  // namespace nmircu::platform
