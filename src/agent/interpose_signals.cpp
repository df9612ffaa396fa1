// SPDX-License-Identifier: MIT
//
// Keeps the two NMI signals ours in a program that uses signals itself. What it sets as the action
// of one of them becomes that signal's previous owner, whom the trampoline calls for every signal
// that is not ours; what it asks for is what it set. Neither of the two can be blocked. All other
// signals, and all of this before the agent has attached, are libc's business.
//
// Exported, so every function here is called by anybody, in any context that libc's own may be
// called in: signal handlers among them.
#include <agent/interpose_signals.hpp>

#include <dlfcn.h>

#include <atomic>
#include <cerrno>
#include <csignal>

#include "platform/linux/libc_signals.hpp"
#include "platform/linux/signal_tag.hpp"
#include "platform/linux/signal_vector.hpp"

namespace nmircu::agent {
namespace {

using action_function = int (*)(int, const struct sigaction*, struct sigaction*);
using mask_function = int (*)(int, const sigset_t*, sigset_t*);
using handler_type = void (*)(int);

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

// As libc's `signal`, in either of its flavours.
handler_type set_handler(int signal, handler_type handler, int flags) noexcept {
    struct sigaction next = {}, old = {};
    next.sa_handler = handler;
    next.sa_flags = flags;
    // The flavour that resets does not block the signal either.
    if ((flags & SA_NODEFER) == 0) sigaddset(&next.sa_mask, signal);
    return set_action(signal, &next, &old) == 0 ? old.sa_handler : SIG_ERR;
}

// Returns an error number, as pthread_sigmask does.
int set_mask(int how, const sigset_t* set, sigset_t* old) noexcept {
    const mask_function libcs = next_of(next_pthread_sigmask, "pthread_sigmask");
    if (libcs == nullptr) return ENOSYS;
    if (set == nullptr || how == SIG_UNBLOCK) return libcs(how, set, old);
    sigset_t allowed = *set;
    sigdelset(&allowed, platform::perf_signal);
    sigdelset(&allowed, platform::nmi_signal);
    return libcs(how, &allowed, old);
}

}  // namespace

void use_libcs_signals() noexcept {
    const action_function actions = next_of(next_sigaction, "sigaction");
    const mask_function masks = next_of(next_pthread_sigmask, "pthread_sigmask");
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
    return nmircu::agent::set_handler(signal, handler, SA_RESTART);
}

EXPORTED sighandler_t bsd_signal(int signal, sighandler_t handler) noexcept {
    return nmircu::agent::set_handler(signal, handler, SA_RESTART);
}

// What `signal` means to a program built for System V's.
EXPORTED sighandler_t __sysv_signal(int signal, sighandler_t handler) noexcept {
    return nmircu::agent::set_handler(signal, handler, SA_RESETHAND | SA_NODEFER);
}

EXPORTED sighandler_t sysv_signal(int signal, sighandler_t handler) noexcept {
    return nmircu::agent::set_handler(signal, handler, SA_RESETHAND | SA_NODEFER);
}

EXPORTED int pthread_sigmask(int how, const sigset_t* set, sigset_t* old) noexcept {
    return nmircu::agent::set_mask(how, set, old);
}

EXPORTED int sigprocmask(int how, const sigset_t* set, sigset_t* old) noexcept {
    const int error = nmircu::agent::set_mask(how, set, old);
    return error == 0 ? 0 : nmircu::agent::fail_with(error);
}
