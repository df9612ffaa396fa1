// SPDX-License-Identifier: MIT
//
// Keeps the two NMI signals ours in a program that uses signals itself. What it sets as the action
// of one of them becomes that signal's previous owner, whom the trampoline calls for every signal
// that is not ours; what it asks for is what it set. Neither of the two can be blocked or waited
// for: who waits for one waits as for a signal that never comes. All other signals, and all of this
// before the agent has attached, are libc's business.
//
// What is left alone: a mask that holds only inside a system call (sigsuspend, ppoll, pselect,
// epoll_pwait). An NMI would end such a call early, and those who block everything but what they
// wait for do not expect that.
//
// Exported, so every function here is called by anybody, in any context that libc's own may be
// called in: signal handlers among them. Those that wait are points of cancellation, as libc's.
#include <agent/interpose_signals.hpp>

#include <dlfcn.h>
#include <sys/signalfd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>

#include "platform/linux/libc_signals.hpp"
#include "platform/linux/signal_tag.hpp"
#include "platform/linux/signal_vector.hpp"

namespace nmircu::agent {
namespace {

using action_function = int (*)(int, const struct sigaction*, struct sigaction*);
using mask_function = int (*)(int, const sigset_t*, sigset_t*);
using handler_type = void (*)(int);
using set_handler_function = handler_type (*)(int, handler_type);
using one_signal_function = int (*)(int);
using interrupt_function = int (*)(int, int);
using wait_function = int (*)(const sigset_t*, int*);
using wait_info_function = int (*)(const sigset_t*, siginfo_t*);
using timed_wait_function = int (*)(const sigset_t*, siginfo_t*, const timespec*);
using file_function = int (*)(int, const sigset_t*, int);

// Relaxed: whoever finds null looks it up himself, and everybody finds the same. The first lookup
// is made before main; a handler's calls find it done.
template <class Function>
Function next_of(std::atomic<Function>& known, const char* name) noexcept {
    Function function = known.load(std::memory_order_relaxed);
    if (function == nullptr) {
        function = reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
        known.store(function, std::memory_order_relaxed);
    }
    return function;
}

constinit std::atomic<action_function> next_sigaction{nullptr};
constinit std::atomic<mask_function> next_pthread_sigmask{nullptr};
constinit std::atomic<set_handler_function> next_signal{nullptr};
constinit std::atomic<set_handler_function> next_sysv_signal{nullptr};
constinit std::atomic<set_handler_function> next_sigset{nullptr};
constinit std::atomic<one_signal_function> next_sighold{nullptr};
constinit std::atomic<one_signal_function> next_sigignore{nullptr};
constinit std::atomic<interrupt_function> next_siginterrupt{nullptr};
constinit std::atomic<wait_function> next_sigwait{nullptr};
constinit std::atomic<wait_info_function> next_sigwaitinfo{nullptr};
constinit std::atomic<timed_wait_function> next_sigtimedwait{nullptr};
constinit std::atomic<file_function> next_signalfd{nullptr};

constexpr bool is_nmi(int signal) noexcept {
    return signal == platform::perf_signal || signal == platform::nmi_signal;
}

sigset_t without_nmis(const sigset_t& set) noexcept {
    sigset_t rest = set;
    sigdelset(&rest, platform::perf_signal);
    sigdelset(&rest, platform::nmi_signal);
    return rest;
}

int fail_with(int error) noexcept {
    errno = error;
    return -1;
}

int set_action(int signal, const struct sigaction* next, struct sigaction* old) noexcept {
    int error = 0;
    if (platform::exchange_owner(signal, next, old, error)) {
        return error == 0 ? 0 : fail_with(error);
    }
    const action_function libcs = next_of(next_sigaction, "sigaction");
    return libcs == nullptr ? fail_with(ENOSYS) : libcs(signal, next, old);
}

// Of the NMI signals, those for which siginterrupt has asked that system calls end; bits by number.
// Relaxed: a setting.
constinit std::atomic<std::uint32_t> interrupting{0};

int restart_flag(int signal) noexcept {
    const bool interrupts = (interrupting.load(std::memory_order_relaxed) >> signal & 1) != 0;
    return interrupts ? 0 : SA_RESTART;
}

// As libc's `signal`, in either of its flavours, for one of the NMI signals.
handler_type set_nmi_handler(int signal, handler_type handler, int flags) noexcept {
    struct sigaction next = {}, old = {};
    next.sa_handler = handler;
    next.sa_flags = flags;
    // The flavour that resets does not block the signal either.
    if ((flags & SA_NODEFER) == 0) sigaddset(&next.sa_mask, signal);
    return set_action(signal, &next, &old) == 0 ? old.sa_handler : SIG_ERR;
}

handler_type set_handler_bsd(int signal, handler_type handler) noexcept {
    if (is_nmi(signal)) return set_nmi_handler(signal, handler, restart_flag(signal));
    const set_handler_function libcs = next_of(next_signal, "signal");
    return libcs == nullptr ? (fail_with(ENOSYS), SIG_ERR) : libcs(signal, handler);
}

handler_type set_handler_sysv(int signal, handler_type handler) noexcept {
    if (is_nmi(signal)) return set_nmi_handler(signal, handler, SA_RESETHAND | SA_NODEFER);
    const set_handler_function libcs = next_of(next_sysv_signal, "__sysv_signal");
    return libcs == nullptr ? (fail_with(ENOSYS), SIG_ERR) : libcs(signal, handler);
}

// SIG_HOLD is to block it, which is not done; the rest is to set an action and to unblock it.
handler_type set_disposition(int signal, handler_type disposition) noexcept {
    if (!is_nmi(signal)) {
        const set_handler_function libcs = next_of(next_sigset, "sigset");
        return libcs == nullptr ? (fail_with(ENOSYS), SIG_ERR) : libcs(signal, disposition);
    }
    struct sigaction next = {}, old = {};
    next.sa_handler = disposition;
    const bool only_asks = disposition == SIG_HOLD;
    return set_action(signal, only_asks ? nullptr : &next, &old) == 0 ? old.sa_handler : SIG_ERR;
}

int set_interrupting(int signal, int interrupts) noexcept {
    if (!is_nmi(signal)) {
        const interrupt_function libcs = next_of(next_siginterrupt, "siginterrupt");
        return libcs == nullptr ? fail_with(ENOSYS) : libcs(signal, interrupts);
    }
    struct sigaction action;
    if (set_action(signal, nullptr, &action) != 0) return -1;
    const std::uint32_t bit = std::uint32_t{1} << signal;
    if (interrupts != 0) {
        interrupting.fetch_or(bit, std::memory_order_relaxed);  // see its declaration
        action.sa_flags &= ~SA_RESTART;
    } else {
        interrupting.fetch_and(~bit, std::memory_order_relaxed);  // as above
        action.sa_flags |= SA_RESTART;
    }
    return set_action(signal, &action, nullptr);
}

// Returns an error number, as pthread_sigmask does.
int set_mask(int how, const sigset_t* set, sigset_t* old) noexcept {
    const mask_function libcs = next_of(next_pthread_sigmask, "pthread_sigmask");
    if (libcs == nullptr) return ENOSYS;
    if (set == nullptr || how == SIG_UNBLOCK) return libcs(how, set, old);
    const sigset_t allowed = without_nmis(*set);
    return libcs(how, &allowed, old);
}

// BSD's masks: an int, bit n - 1 being signal n.
int set_mask_bits(int how, int bits) noexcept {
    sigset_t set, old;
    sigemptyset(&set);
    for (int signal = 1; signal <= 32; ++signal) {
        if ((static_cast<std::uint32_t>(bits) >> (signal - 1) & 1) != 0) sigaddset(&set, signal);
    }
    if (set_mask(how, &set, &old) != 0) return -1;
    std::uint32_t before = 0;
    for (int signal = 1; signal <= 32; ++signal) {
        if (sigismember(&old, signal) == 1) before |= std::uint32_t{1} << (signal - 1);
    }
    return static_cast<int>(before);
}

}  // namespace

void use_libcs_signals() noexcept {
    const action_function actions = next_of(next_sigaction, "sigaction");
    const mask_function masks = next_of(next_pthread_sigmask, "pthread_sigmask");
    // The others for the sake of handlers that call them.
    next_of(next_signal, "signal");
    next_of(next_sysv_signal, "__sysv_signal");
    next_of(next_sigset, "sigset");
    next_of(next_sighold, "sighold");
    next_of(next_sigignore, "sigignore");
    next_of(next_siginterrupt, "siginterrupt");
    next_of(next_sigwait, "sigwait");
    next_of(next_sigwaitinfo, "sigwaitinfo");
    next_of(next_sigtimedwait, "sigtimedwait");
    next_of(next_signalfd, "signalfd");
    if (actions != nullptr) platform::libc.set_action = actions;
    if (masks != nullptr) platform::libc.set_mask = masks;
}

}  // namespace nmircu::agent

#define EXPORTED extern "C" __attribute__((visibility("default")))

EXPORTED int sigaction(int signal, const struct sigaction* next, struct sigaction* old) noexcept {
    return nmircu::agent::set_action(signal, next, old);
}

// The name under which libraries of libc's own know it.
EXPORTED int __sigaction(int signal, const struct sigaction* next, struct sigaction* old) noexcept {
    return nmircu::agent::set_action(signal, next, old);
}

EXPORTED sighandler_t signal(int signal, sighandler_t handler) noexcept {
    return nmircu::agent::set_handler_bsd(signal, handler);
}

EXPORTED sighandler_t bsd_signal(int signal, sighandler_t handler) noexcept {
    return nmircu::agent::set_handler_bsd(signal, handler);
}

EXPORTED sighandler_t ssignal(int signal, sighandler_t handler) noexcept {
    return nmircu::agent::set_handler_bsd(signal, handler);
}

// What `signal` means to a program built for System V's.
EXPORTED sighandler_t __sysv_signal(int signal, sighandler_t handler) noexcept {
    return nmircu::agent::set_handler_sysv(signal, handler);
}

EXPORTED sighandler_t sysv_signal(int signal, sighandler_t handler) noexcept {
    return nmircu::agent::set_handler_sysv(signal, handler);
}

EXPORTED sighandler_t sigset(int signal, sighandler_t disposition) noexcept {
    return nmircu::agent::set_disposition(signal, disposition);
}

EXPORTED int sighold(int signal) noexcept {
    using namespace nmircu::agent;
    if (is_nmi(signal)) return 0;
    const one_signal_function libcs = next_of(next_sighold, "sighold");
    return libcs == nullptr ? fail_with(ENOSYS) : libcs(signal);
}

EXPORTED int sigignore(int signal) noexcept {
    using namespace nmircu::agent;
    if (is_nmi(signal)) return set_disposition(signal, SIG_IGN) == SIG_ERR ? -1 : 0;
    const one_signal_function libcs = next_of(next_sigignore, "sigignore");
    return libcs == nullptr ? fail_with(ENOSYS) : libcs(signal);
}

EXPORTED int siginterrupt(int signal, int interrupts) noexcept {
    return nmircu::agent::set_interrupting(signal, interrupts);
}

EXPORTED int pthread_sigmask(int how, const sigset_t* set, sigset_t* old) noexcept {
    return nmircu::agent::set_mask(how, set, old);
}

EXPORTED int sigprocmask(int how, const sigset_t* set, sigset_t* old) noexcept {
    const int error = nmircu::agent::set_mask(how, set, old);
    return error == 0 ? 0 : nmircu::agent::fail_with(error);
}

EXPORTED int sigblock(int bits) noexcept {
    return nmircu::agent::set_mask_bits(SIG_BLOCK, bits);
}

EXPORTED int sigsetmask(int bits) noexcept {
    return nmircu::agent::set_mask_bits(SIG_SETMASK, bits);
}

EXPORTED int sigwait(const sigset_t* set, int* signal) {
    using namespace nmircu::agent;
    const wait_function libcs = next_of(next_sigwait, "sigwait");
    const sigset_t awaited = without_nmis(*set);
    return libcs == nullptr ? ENOSYS : libcs(&awaited, signal);
}

EXPORTED int sigwaitinfo(const sigset_t* set, siginfo_t* info) {
    using namespace nmircu::agent;
    const wait_info_function libcs = next_of(next_sigwaitinfo, "sigwaitinfo");
    const sigset_t awaited = without_nmis(*set);
    return libcs == nullptr ? fail_with(ENOSYS) : libcs(&awaited, info);
}

EXPORTED int sigtimedwait(const sigset_t* set, siginfo_t* info, const timespec* most) {
    using namespace nmircu::agent;
    const timed_wait_function libcs = next_of(next_sigtimedwait, "sigtimedwait");
    const sigset_t awaited = without_nmis(*set);
    return libcs == nullptr ? fail_with(ENOSYS) : libcs(&awaited, info, most);
}

EXPORTED int signalfd(int file, const sigset_t* set, int flags) noexcept {
    using namespace nmircu::agent;
    const file_function libcs = next_of(next_signalfd, "signalfd");
    const sigset_t awaited = without_nmis(*set);
    return libcs == nullptr ? fail_with(ENOSYS) : libcs(file, &awaited, flags);
}
