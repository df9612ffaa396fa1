// SPDX-License-Identifier: MIT
//
// Every action is kept in a table for the life of the process, once, and never changed: so a signal
// that arrives while the program sets another one finds either of the two whole, and nobody waits
// for anybody. A program has a handful of them.
#include "platform/linux/previous_owner.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "platform/linux/libc_signals.hpp"

namespace nmircu::platform {

namespace {

struct known_action {
    std::atomic<bool> whole;
    struct sigaction action;
};

constexpr unsigned most_actions = 128;
constinit known_action actions[most_actions]{};
constinit std::atomic<unsigned> claimed{0};

// As far as the kernel looks at them.
bool same(const struct sigaction& a, const struct sigaction& b) noexcept {
    return a.sa_handler == b.sa_handler && a.sa_flags == b.sa_flags &&
           std::memcmp(&a.sa_mask, &b.sa_mask, _NSIG / 8) == 0;
}

// Its place in the table; null if that is full.
const struct sigaction* keep(const struct sigaction& action) noexcept {
    for (known_action& known : actions) {
        // [PO-1] acquire: the action precedes the word that says it is whole. Partner: [PO-2].
        // Weakened: half an action is compared.
        if (known.whole.load(std::memory_order_acquire) && same(known.action, action)) {
            return &known.action;
        }
    }
    // Relaxed: it only hands out numbers; not past the end, where it would come around one day.
    unsigned place = claimed.load(std::memory_order_relaxed);
    do {
        if (place == most_actions) return nullptr;
    } while (!claimed.compare_exchange_weak(place, place + 1, std::memory_order_relaxed,
                                            std::memory_order_relaxed));
    actions[place].action = action;
    // [PO-2] release: as said there. Partner: [PO-1].
    actions[place].whole.store(true, std::memory_order_release);
    return &actions[place].action;
}

constexpr struct sigaction default_action {};
// Its address alone counts.
constexpr struct sigaction given_back_mark {};

bool is_plain(const struct sigaction& action, sighandler_t handler) noexcept {
    return (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == handler;
}

// SI_KERNEL and the codes of faults: not sent by anyone, so ignoring it would repeat it for ever.
bool is_fault(const siginfo_t* info) noexcept {
    return info->si_code > 0;
}

}  // namespace

void act_by_default(int signal) noexcept {
    switch (signal) {
        case SIGCHLD:
        case SIGCONT:  // it has continued the process when it was sent
        case SIGURG:
        case SIGWINCH:
            return;
        case SIGTSTP:
        case SIGTTIN:
        case SIGTTOU:
            ::syscall(SYS_kill, ::getpid(), SIGSTOP);
            return;
        default:
            break;
    }
    struct sigaction action = {};
    action.sa_handler = SIG_DFL;
    libc.set_action(signal, &action, nullptr);
    ::syscall(SYS_tgkill, ::getpid(), ::syscall(SYS_gettid), signal);
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, signal);
    libc.set_mask(SIG_UNBLOCK, &only, nullptr);
}

int previous_owner::remember(int signal) noexcept {
    struct sigaction now;
    if (libc.set_action(signal, nullptr, &now) != 0) return errno;
    return exchange(&now, nullptr);
}

int previous_owner::exchange(const struct sigaction* next, struct sigaction* old) noexcept {
    const struct sigaction* kept = nullptr;
    if (next != nullptr && (kept = keep(*next)) == nullptr) return ENOMEM;
    const struct sigaction* was = nullptr;
    if (next != nullptr) {
        // [PO-3] acq_rel: an action is whole before it is the owner, and while it is read.
        // Partners: [PO-4], [PO-5], [PO-6], [PO-8], [PO-9]. Weakened: the owner is called by half
        // an action.
        was = action_.exchange(kept, std::memory_order_acq_rel);
    } else {
        // [PO-5] acquire: as [PO-3]. Partner: [PO-3]. Weakened: as there.
        was = action_.load(std::memory_order_acquire);
    }
    // The mark is a default action too.
    if (old != nullptr) *old = was == nullptr ? default_action : *was;
    return 0;
}

// The action first: whoever finds the mark may rely on the kernel's. In between a signal that
// another thread was interrupted by may have used up an action that asked for one call only.
int previous_owner::give_back(int signal) noexcept {
    // Relaxed: entries of the table were made whole by this thread, or [PO-8] looks again.
    const struct sigaction* owner = action_.load(std::memory_order_relaxed);
    do {
        if (owner == &given_back_mark) return 0;
        // [PO-8] acquire: as [PO-3]. Partner: [PO-3]. Weakened: as there.
        std::atomic_thread_fence(std::memory_order_acquire);
        const struct sigaction* const next = owner == nullptr ? &default_action : owner;
        if (libc.set_action(signal, next, nullptr) != 0) return errno;
        // [PO-7] release: the kernel has the action before the mark says so. Partner: [PO-4].
        // Weakened: a signal that is sent again comes back to us, again and again.
    } while (!action_.compare_exchange_weak(owner, &given_back_mark, std::memory_order_release,
                                            std::memory_order_relaxed));
    return 0;
}

previous_owner::reaction previous_owner::look() const noexcept {
    // [PO-9] acquire: as [PO-3]. Partner: [PO-3]. Weakened: as there.
    const struct sigaction* const owner = action_.load(std::memory_order_acquire);
    if (owner == &given_back_mark) return reaction::given_back;
    if (owner == nullptr || is_plain(*owner, SIG_DFL)) return reaction::by_default;
    return is_plain(*owner, SIG_IGN) ? reaction::ignores : reaction::handles;
}

// The owner; from then on it is the default action, if the owner asked for one call only.
const struct sigaction* previous_owner::take_action() noexcept {
    // [PO-4] acquire: as [PO-3], and as [PO-7]. Partners: [PO-3], [PO-7]. Weakened: as there.
    const struct sigaction* owner = action_.load(std::memory_order_acquire);
    while (owner != nullptr && (owner->sa_flags & SA_RESETHAND) != 0) {
        // [PO-6] acquire: as [PO-3]; who loses looks at what is there now. Partner: [PO-3].
        // Weakened: as there.
        if (action_.compare_exchange_weak(owner, nullptr, std::memory_order_acquire,
                                          std::memory_order_acquire)) {
            break;
        }
    }
    return owner == nullptr ? &default_action : owner;
}

bool previous_owner::call(int signal, siginfo_t* info, ucontext_t* context) noexcept {
    const struct sigaction& owner = *take_action();
    if (&owner == &given_back_mark) return false;
    const bool is_ignored = is_plain(owner, SIG_IGN);
    if (is_ignored && !is_fault(info)) return true;
    if (is_ignored || is_plain(owner, SIG_DFL)) {
        act_by_default(signal);
        return true;
    }
    sigset_t mask = context->uc_sigmask;
    sigorset(&mask, &mask, &owner.sa_mask);
    if ((owner.sa_flags & SA_NODEFER) == 0) sigaddset(&mask, signal);
    // The kernel restores the interrupted mask when the handler returns.
    libc.set_mask(SIG_SETMASK, &mask, nullptr);
    if ((owner.sa_flags & SA_SIGINFO) != 0) {
        owner.sa_sigaction(signal, info, context);
    } else {
        owner.sa_handler(signal);
    }
    return true;
}

}  // namespace nmircu::platform
