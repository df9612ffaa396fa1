// SPDX-License-Identifier: MIT
//
// The trampoline: from a signal to take_nmi and back. It enters a read-side section before any
// pointer to code that could go away is loaded, and leaves it here, in permanent code.
#include "platform/linux/signal_vector.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include <nmircu/arch/context.hpp>
#include <nmircu/detail/lifecycle.hpp>
#include <nmircu/platform/interrupt.hpp>
#include <nmircu/platform/port.hpp>

#include "platform/linux/ask_threads.hpp"
#include "platform/linux/fault_report.hpp"
#include "platform/linux/libc_signals.hpp"
#include "platform/linux/previous_owner.hpp"
#include "platform/linux/pt_regs.hpp"
#include "platform/linux/signal_tag.hpp"
#include "platform/lock.hpp"
#include "platform/text.hpp"

namespace nmircu {

std::uintptr_t instruction_pointer(const pt_regs* regs) noexcept {
    return arch::instruction_pointer(*regs->context);
}
std::uintptr_t user_stack_pointer(const pt_regs* regs) noexcept {
    return arch::stack_pointer(*regs->context);
}
std::uintptr_t frame_pointer(const pt_regs* regs) noexcept {
    return arch::frame_pointer(*regs->context);
}

namespace platform {

constinit libc_signals libc{::sigaction, ::pthread_sigmask};

namespace {

struct signal_vector {
    int signal;
    std::atomic<bool> attached;  // written under the lock
    bool dispatches;             // not for questions alone
    previous_owner previous;
};

constinit lock attaching;
constinit signal_vector vectors[] = {{perf_signal, false, false, {}},
                                     {nmi_signal, false, false, {}}};
constinit std::atomic<signal_filter> filter{nullptr};

signal_vector& vector_of(int signal) noexcept {
    return signal == perf_signal ? vectors[0] : vectors[1];
}

bool raised_by_us(const siginfo_t* info) noexcept {
    if (info->si_signo == perf_signal && info->si_code == trap_perf) {
        return is_signal_tag(perf_signal_data(info));
    }
    if (info->si_code == SI_TIMER || info->si_code == SI_QUEUE) {
        return is_signal_tag(reinterpret_cast<std::uintptr_t>(info->si_value.sival_ptr));
    }
    return false;
}

bool passes_filter(const siginfo_t* info) noexcept {
    // [SV-1] acquire: the filter's state precedes its address. Partner: [SV-2].
    // Weakened: a filter runs before what it looks at is initialised.
    const signal_filter current = filter.load(std::memory_order_acquire);
    return current == nullptr || current(info);
}

// Before and after a dispatch, in debug builds. Dispatches on one thread nest on one stack: who
// took the first of them onto the alternate stack has the others there. So one that is still open
// and does not lie above this one was left by longjmp or an exception. Returns what to put back.
[[maybe_unused]] const void* begin_dispatch(const void* frame) noexcept {
    detail::reader_state& self = this_reader();
    const void* const outer = self.dispatch_frame;
    if (outer != nullptr && outer <= frame) {
        text_line line;
        line << "nmircu: handler " << self.called_name << " (" << self.called_function
             << ") did not return: it was left by longjmp or an exception, inside the section "
                "entered at "
             << self.entered_at;
        port::panic(line.c_str());
    }
    self.dispatch_frame = frame;
    return outer;
}

void trampoline(int signal, siginfo_t* info, void* context) {
    const int saved_errno = errno;
    const bool local = raised_by_us(info);
    if (!local && answer_question(info, *static_cast<ucontext_t*>(context))) [[unlikely]]
        return;
    pt_regs regs{static_cast<ucontext_t*>(context), info,
                 local ? nmi_type::local : nmi_type::external, false};
    [[maybe_unused]] const void* outer = nullptr;
    if constexpr (detail::checks_misuse) outer = begin_dispatch(__builtin_frame_address(0));
    detail::enter_section();
    if (regs.type != nmi_type::local || passes_filter(info)) {
        detail::take_nmi(&regs, 0);
    }
    detail::exit_section();
    if constexpr (detail::checks_misuse) this_reader().dispatch_frame = outer;
    errno = saved_errno;
    if (regs.forward) vector_of(signal).previous.call(signal, info, regs.context);
}

// Everything that can be deferred; not the faults, which the kernel would kill the program for.
sigset_t maskable_signals() noexcept {
    sigset_t set;
    sigfillset(&set);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT})
        sigdelset(&set, fault);
    return set;
}

int install_locked(signal_vector& vector) noexcept {
    // Asked for first: the trampoline may run the moment it is installed.
    if (const int error = vector.previous.remember(vector.signal); error != 0) return error;
    struct sigaction action = {};
    action.sa_sigaction = trampoline;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    action.sa_mask = maskable_signals();
    if (libc.set_action(vector.signal, &action, nullptr) != 0) return errno;
    // [SV-4] release: as said there. Partner: [SV-3].
    vector.attached.store(true, std::memory_order_release);
    return 0;
}

int queue_to(int thread_id, std::uint32_t number) noexcept {
    siginfo_t info = {};
    info.si_code = SI_QUEUE;
    info.si_pid = ::getpid();
    info.si_uid = ::getuid();
    info.si_value.sival_ptr = reinterpret_cast<void*>(signal_tag(number));
    const int saved_errno = errno;
    const long result = ::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), thread_id, nmi_signal, &info);
    const int error = result == 0 ? 0 : errno;
    errno = saved_errno;
    return error;
}

}  // namespace

nmi_type interrupt_type(const pt_regs* regs) noexcept {
    return regs->type;
}

bool hand_to_previous_owner(pt_regs* regs) noexcept {
    if (regs->type != nmi_type::external) return false;
    regs->forward = true;
    return true;
}

int request_nmi(int tid, std::uint32_t number) noexcept {
    if (tid <= 0) return ESRCH;
    const int saved_errno = errno;
    const bool ours = is_ours(nmi_signal);
    errno = saved_errno;
    return ours ? queue_to(tid, number) : EBUSY;
}

std::uint32_t requested_number(const pt_regs* regs) noexcept {
    const siginfo_t* const info = regs->info;
    if (regs->type != nmi_type::local || info->si_code != SI_QUEUE) return 0;
    const std::uint32_t number =
        signal_tag_thread(reinterpret_cast<std::uintptr_t>(info->si_value.sival_ptr));
    return (number & wall_tag_bit) == 0 ? number : 0;
}

bool is_ours(int signal) noexcept {
    struct sigaction action = {};
    return libc.set_action(signal, nullptr, &action) == 0 && (action.sa_flags & SA_SIGINFO) != 0 &&
           action.sa_sigaction == trampoline;
}

void signal_vectors_forked() noexcept {
    attaching.reset();
}

bool is_attached(int signal) noexcept {
    return vector_of(signal).attached.load(std::memory_order_relaxed);  // a look
}

int attach_signal(int signal) noexcept {
    if (signal != perf_signal && signal != nmi_signal) return EINVAL;
    lock_guard guard(attaching);
    signal_vector& vector = vector_of(signal);
    if (!vector.attached.load(std::memory_order_relaxed)) {  // written under the lock
        if (const int error = install_locked(vector); error != 0) return error;
    }
    // A second call finds out whether the program has taken the signal for itself since.
    if (!is_ours(signal)) return EBUSY;
    if (vector.dispatches) return 0;
    vector.dispatches = true;
    report_faults_in_handlers();
    // Handlers may retire from now on, and cannot create the thread that reclaims.
    detail::start_reclaimer_for_handlers();
    return 0;
}

bool exchange_owner(int signal, const struct sigaction* next, struct sigaction* old,
                    int& error) noexcept {
    if (signal != perf_signal && signal != nmi_signal) return false;
    signal_vector& vector = vector_of(signal);
    // [SV-3] acquire: the owner at the beginning precedes the word that says we took its place.
    // Partner: [SV-4]. Weakened: it overwrites one that the program has set since.
    if (!vector.attached.load(std::memory_order_acquire)) return false;
    error = vector.previous.exchange(next, old);
    return true;
}

bool attach_for_questions() noexcept {
    // Who holds the lock may be waiting for what a stalled reader holds.
    if (!attaching.try_acquire()) return false;
    signal_vector& vector = vector_of(nmi_signal);
    // Relaxed: written under the lock.
    const bool attached = vector.attached.load(std::memory_order_relaxed)
                              ? is_ours(nmi_signal)
                              : install_locked(vector) == 0;
    attaching.release();
    return attached;
}

void set_signal_filter(signal_filter next) noexcept {
    // [SV-2] release: what the filter looks at precedes its address. Partner: [SV-1].
    // Weakened: as [SV-1].
    filter.store(next, std::memory_order_release);
}

}  // namespace platform

int nmi_attach() noexcept {
    detail::require_no_handler("nmi_attach", __builtin_return_address(0));
    return platform::attach_signal(platform::nmi_signal);
}

int nmi_raise_self() noexcept {
    return nmi_raise(static_cast<int>(platform::port::current_thread()));
}

int nmi_raise(int tid) noexcept {
    return platform::request_nmi(tid, 0);
}

}  // namespace nmircu
