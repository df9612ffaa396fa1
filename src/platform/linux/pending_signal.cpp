// SPDX-License-Identifier: MIT
//
// The kernel hands out what is pending for the thread before what is pending for the process, and
// does not say which it was.
#include "platform/linux/pending_signal.hpp"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>

namespace nmircu::platform {

namespace {

enum class receiver : std::uint8_t { unknown, thread, process };

receiver receiver_of(const siginfo_t& info) noexcept {
    if (info.si_code == SI_TKILL) return receiver::thread;
    const bool of_child = info.si_signo == SIGCHLD && info.si_code > 0;
    return info.si_code == SI_USER || of_child ? receiver::process : receiver::unknown;
}

// Raw: libc's are points of cancellation, or somebody else's. The kernel's sets have 8 bytes.
bool take_pending(int signal, siginfo_t& info) noexcept {
    const std::uint64_t set = std::uint64_t{1} << (signal - 1);
    const timespec at_once = {};
    return ::syscall(SYS_rt_sigtimedwait, &set, &info, &at_once, sizeof(set)) == signal;
}

// To the process by the number of the calling thread, from whom alone the kernel accepts any code.
bool put_back(receiver to, siginfo_t& info) noexcept {
    const long self = ::syscall(SYS_gettid);
    if (to == receiver::process &&
        ::syscall(SYS_rt_sigqueueinfo, self, info.si_signo, &info) == 0) {
        return true;
    }
    return ::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), self, info.si_signo, &info) == 0;
}

}  // namespace

bool are_one(const siginfo_t& first, const siginfo_t& second) noexcept {
    if (first.si_signo != second.si_signo) return false;
    const receiver of_first = receiver_of(first), of_second = receiver_of(second);
    if (of_first != receiver::unknown && of_second != receiver::unknown) {
        return of_first == of_second;
    }
    if (first.si_code != second.si_code) return false;
    return first.si_code != SI_TIMER || first.si_timerid == second.si_timerid;
}

bool merge_pending(const siginfo_t& first) noexcept {
    siginfo_t one, other;
    if (!take_pending(first.si_signo, one) || are_one(first, one)) return true;
    const bool of_process = receiver_of(one) == receiver::process;
    bool all_kept = true;
    if (take_pending(first.si_signo, other) && !are_one(first, other)) {
        // Where the one does not go, or they would merge with each other.
        all_kept = put_back(of_process ? receiver::thread : receiver::process, other);
    }
    return put_back(of_process ? receiver::process : receiver::thread, one) && all_kept;
}

}  // namespace nmircu::platform
