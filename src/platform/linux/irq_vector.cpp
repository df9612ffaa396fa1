// SPDX-License-Identifier: MIT
//
// From a signal that is a line to take_irq and back; and the soft mask. A signal that arrives while
// its thread has IRQs masked is kept back here, and all lines are blocked in the context it
// interrupted: from there on the kernel itself keeps, merges and queues. Why one kept interrupt is
// not enough, and what happens when there is no room for one more: docs/design/soft-mask.md.
//
//   variable          written by                                      read by
//   irq_mask          the thread                                      its trampoline
//   irq_kept, kept    the trampoline; take_kept_interrupts, which     the thread, its trampoline
//                     has blocked everything that leads to it
//   attached_lines    attach_line, detach_line, under lock            trampolines
//   a vector's owner  the same                                        trampolines
//
// The trampoline has every signal blocked but faults and NMIs, and neither of those comes here: it
// is never interrupted by itself.
#include "platform/linux/irq_vector.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <nmircu/arch/context.hpp>
#include <nmircu/detail/lifecycle.hpp>
#include <nmircu/irq.hpp>
#include <nmircu/platform/irq_line.hpp>
#include <nmircu/platform/irq_mask.hpp>
#include <nmircu/platform/port.hpp>
#include <nmircu/rcu.hpp>

#include "platform/linux/fault_report.hpp"
#include "platform/linux/libc_signals.hpp"
#include "platform/linux/pending_signal.hpp"
#include "platform/linux/previous_owner.hpp"
#include "platform/linux/pt_regs.hpp"
#include "platform/linux/signal_tag.hpp"
#include "platform/lock.hpp"

namespace nmircu::platform {

namespace {

// A set of signals as the kernel has it: bit n - 1 is signal n. A signal frame holds no more of its
// sigset_t than this.
using signal_bits = std::uint64_t;

constexpr signal_bits bit_of(int signal) noexcept {
    return signal_bits{1} << (signal - 1);
}
signal_bits bits_of(const sigset_t& set) noexcept {
    signal_bits bits;
    std::memcpy(&bits, &set, sizeof(bits));
    return bits;
}
void set_bits(sigset_t& set, signal_bits bits) noexcept {
    std::memcpy(&set, &bits, sizeof(bits));
}

// One interrupt can be kept back on each level of the program's own handlers.
constexpr unsigned most_kept = 4;

struct kept_interrupts {
    // Lines that were open where we blocked them.
    signal_bits blocked;
    // How many were ever taken, and how many kept back: each changes in one store, so that the
    // trampoline may run at any moment, even if a handler of the program's own unblocks lines.
    unsigned taken, arrived;
    saved_interrupt ring[most_kept];
    // Regions that ended here; others are not counted.
    std::uint32_t ended;
};
__thread kept_interrupts kept __attribute__((tls_model("initial-exec")));

struct irq_vector {
    previous_owner owner;
    std::atomic<std::uint64_t> lost;
};
constinit lock attaching;
constinit irq_vector vectors[irq_line_limit]{};
constinit std::atomic<signal_bits> attached_lines{0};

// Everything but faults, which the kernel would kill the program for, and NMIs.
sigset_t signals_below_nmis() noexcept {
    sigset_t set;
    sigfillset(&set);
    for (const int open :
         {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, perf_signal, nmi_signal}) {
        sigdelset(&set, open);
    }
    return set;
}

void build_info(siginfo_t& info, const saved_interrupt& from) noexcept {
    std::memset(&info, 0, sizeof(info));
    std::memcpy(&info, from.information, sizeof(from.information));
}

void save(saved_interrupt& to, const siginfo_t* info, const ucontext_t& context) noexcept {
    std::memcpy(to.information, info, sizeof(to.information));
    to.instruction = arch::instruction_pointer(context);
    to.stack = arch::stack_pointer(context);
    to.frame = arch::frame_pointer(context);
}

void count_lost(int line) noexcept {
    vectors[line].lost.fetch_add(1, std::memory_order_relaxed);  // a count for people
}

// Into the thread's queue, behind what is there.
void send_again(int line, siginfo_t* info) noexcept {
    const int saved_errno = errno;
    if (::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), ::syscall(SYS_gettid), line, info) != 0) {
        count_lost(line);
    }
    errno = saved_errno;
}

// Whether it merges with one that is kept back already.
bool is_kept_already(const siginfo_t* info) noexcept {
    if (line_queues(info->si_signo)) return false;
    for (unsigned i = kept.taken; i != kept.arrived; ++i) {
        siginfo_t first;
        build_info(first, kept.ring[i % most_kept]);
        if (are_one(first, *info)) return true;
    }
    return false;
}

// The same for what the kernel keeps behind the oldest that is kept back.
void merge_with_kernels(const saved_interrupt& oldest) noexcept {
    siginfo_t first;
    build_info(first, oldest);
    if (!line_queues(first.si_signo) && !merge_pending(first)) count_lost(first.si_signo);
}

void keep_back(detail::reader_state& self, int line, siginfo_t* info,
               ucontext_t& context) noexcept {
    if (is_kept_already(info)) {
        // Nothing of it stays.
    } else if (kept.arrived - kept.taken < most_kept) {
        save(kept.ring[kept.arrived % most_kept], info, context);
        ++kept.arrived;
    } else {
        send_again(line, info);  // there is no room
    }
    const signal_bits before = bits_of(context.uc_sigmask);
    // Relaxed: a line that is attached just now is kept back when it arrives.
    const signal_bits lines = attached_lines.load(std::memory_order_relaxed) | bit_of(line);
    kept.blocked |= lines & ~before;
    set_bits(context.uc_sigmask, before | lines);
    __atomic_store_n(&self.irq_kept, detail::irq_kept_back, __ATOMIC_RELAXED);  // [IM-3]
}

bool keeps_back(const detail::reader_state& self) noexcept {
    // Relaxed: of this thread. The second: what came first is taken first.
    return __atomic_load_n(&self.irq_mask, __ATOMIC_RELAXED) != 0 ||
           __atomic_load_n(&self.irq_kept, __ATOMIC_RELAXED) != 0;
}

void call_owner(int line, siginfo_t* info, ucontext_t* context) noexcept;

void trampoline(int line, siginfo_t* info, void* argument) {
    // [IM-4] compiler fence, on the thread that was interrupted: what the program did before the
    // interruption precedes the look at its mask and all that follows.
    // Partners: [IM-1], [IM-2], [IM-3], nmircu/platform/irq_mask.hpp; [IM-5], [IM-6].
    // Weakened: as there.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    auto& context = *static_cast<ucontext_t*>(argument);
    detail::reader_state& self = this_reader();
    if (keeps_back(self)) [[unlikely]]
        return keep_back(self, line, info, context);
    const int saved_errno = errno;
    pt_regs regs{&context, info, nmi_type::external, false};
    detail::enter_section();
    detail::take_irq(&regs, line);
    detail::exit_section();
    errno = saved_errno;
    if (regs.forward) call_owner(line, info, &context);
}

bool finds_trampoline(int line) noexcept {
    struct sigaction current;
    return libc.set_action(line, nullptr, &current) == 0 && (current.sa_flags & SA_SIGINFO) != 0 &&
           current.sa_sigaction == trampoline;
}

bool is_attached(int line) noexcept {
    // Relaxed: it is set before the trampoline is installed; for the other end, see [IV-2].
    return (attached_lines.load(std::memory_order_relaxed) & bit_of(line)) != 0;
}

// A line that has been freed meanwhile is the kernel's, which does what is to be done when the
// signal comes again; unless the program has put our trampoline back there by itself.
void call_owner(int line, siginfo_t* info, ucontext_t* context) noexcept {
    if (vectors[line].owner.call(line, info, context)) return;
    if (!is_attached(line) && finds_trampoline(line)) return act_by_default(line);
    send_again(line, info);
}

// An interrupt made up from what was saved of one.
struct rebuilt_interrupt {
    siginfo_t info;
    ucontext_t context;
    pt_regs regs;

    rebuilt_interrupt(const saved_interrupt& from, const sigset_t& mask) noexcept
        : regs{&context, &info, nmi_type::external, false} {
        build_info(info, from);
        std::memset(&context, 0, sizeof(context));
        arch::set_registers(context, from.instruction, from.stack, from.frame);
        context.uc_sigmask = mask;
    }

    // Everything is blocked that the trampoline has blocked.
    template <class Dispatch>
    bool take(Dispatch dispatch) noexcept {
        detail::enter_section();
        const bool taken = dispatch(&regs, info.si_signo);
        detail::exit_section();
        return taken;
    }
    // Outside the section.
    void call_owner() noexcept { platform::call_owner(info.si_signo, &info, &context); }
};

// Oldest first. What nobody claims goes into `unclaimed`, of which there are `count`.
void take_all_kept(const sigset_t& mask, saved_interrupt (&unclaimed)[most_kept],
                   unsigned& count) noexcept {
    // Relaxed: read anew each time, and changed in one store.
    while (__atomic_load_n(&kept.arrived, __ATOMIC_RELAXED) != kept.taken) {
        const saved_interrupt next = kept.ring[kept.taken % most_kept];
        merge_with_kernels(next);
        // Relaxed: the trampoline finds the place used or free.
        __atomic_store_n(&kept.taken, kept.taken + 1, __ATOMIC_RELAXED);
        rebuilt_interrupt interrupt(next, mask);
        interrupt.take([](pt_regs* regs, int line) {
            detail::take_irq(regs, line);
            return true;
        });
        if (!interrupt.regs.forward) continue;
        if (count < most_kept) {
            unclaimed[count++] = next;
        } else {
            interrupt.call_owner();
        }
    }
}

struct saved_errno {
    const int value = errno;
    ~saved_errno() { errno = value; }
};

}  // namespace

bool mark_masked_region(const std::uint32_t*& depth, const std::uint32_t*& ended) noexcept {
    detail::reader_state& self = this_reader();
    depth = &self.irq_mask;
    ended = &kept.ended;
    // Relaxed: of this thread, which is interrupted.
    if (__atomic_load_n(&self.irq_mask, __ATOMIC_RELAXED) == 0) return false;
    // As if an interrupt had been kept back: the region's end finds none.
    __atomic_store_n(&self.irq_kept, detail::irq_kept_back, __ATOMIC_RELAXED);  // [IM-3]
    return true;
}

void take_kept_interrupts() noexcept {
    // Relaxed: of this thread and its NMIs.
    __atomic_store_n(&kept.ended, kept.ended + 1, __ATOMIC_RELAXED);
    const saved_errno kept_errno;
    const sigset_t closed = signals_below_nmis();
    sigset_t mask;
    libc.set_mask(SIG_BLOCK, &closed, &mask);
    // [IM-5] compiler fence: what the trampoline has kept back is looked at after it can no longer
    // run. Partner: [IM-4]. Weakened: an interrupt is forgotten.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    saved_interrupt unclaimed[most_kept];
    unsigned count = 0;
    do {
        take_all_kept(mask, unclaimed, count);
        set_bits(mask, bits_of(mask) & ~kept.blocked);
        kept.blocked = 0;
        __atomic_store_n(&this_reader().irq_kept, 0, __ATOMIC_RELAXED);  // then looks again
        // [IM-6] compiler fence against an interruption of this thread: from here on the trampoline
        // keeps nothing back; whatever it kept until here is taken. Partner: [IM-4].
        // Weakened: as [IM-5].
        std::atomic_signal_fence(std::memory_order_seq_cst);
    } while (kept.arrived != kept.taken);
    for (unsigned i = 0; i < count; ++i)
        rebuilt_interrupt(unclaimed[i], mask).call_owner();
    // The kernel delivers what it has kept before this returns.
    libc.set_mask(SIG_SETMASK, &mask, nullptr);
}

bool take_saved_interrupt(const saved_interrupt& saved,
                          bool (*dispatch)(pt_regs* regs, int line)) noexcept {
    const saved_errno kept_errno;
    const sigset_t closed = signals_below_nmis();
    sigset_t mask;
    libc.set_mask(SIG_BLOCK, &closed, &mask);
    rebuilt_interrupt interrupt(saved, mask);
    const bool taken = interrupt.take(dispatch);
    if (interrupt.regs.forward) interrupt.call_owner();
    libc.set_mask(SIG_SETMASK, &mask, nullptr);
    return taken;
}

void save_interrupt(saved_interrupt& to, const pt_regs* regs) noexcept {
    save(to, regs->info, *regs->context);
}

bool hand_line_to_previous_owner(pt_regs* regs, int line) noexcept {
    // [IV-2] acquire fence: that the line has no handlers any more, which the caller may have seen,
    // precedes the look at whose it is. Partner: [IV-1]. Weakened: a signal to a line that has just
    // been freed is taken for one that handlers declined, and the default action for it is lost.
    std::atomic_thread_fence(std::memory_order_acquire);
    switch (vectors[line].owner.look()) {
        case previous_owner::reaction::ignores:
            return true;
        case previous_owner::reaction::by_default:
            // What the handlers of a line decline must not end the program.
            if (is_attached(line)) return false;
            break;
        case previous_owner::reaction::handles:
        case previous_owner::reaction::given_back:
            break;
    }
    regs->forward = true;
    return true;
}

std::uint64_t lost_on_line(int line) noexcept {
    return vectors[line].lost.load(std::memory_order_relaxed);  // a count for people
}

namespace {

// See is_attached.
void mark_attached(int line) noexcept {
    attached_lines.fetch_or(bit_of(line), std::memory_order_relaxed);
}
void mark_detached(int line) noexcept {
    attached_lines.fetch_and(~bit_of(line), std::memory_order_relaxed);
}

int install_locked(int line) noexcept {
    // Remembered first: the trampoline may run the moment it is installed.
    if (const int error = vectors[line].owner.remember(line); error != 0) return error;
    mark_attached(line);
    struct sigaction action = {};
    action.sa_sigaction = trampoline;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    action.sa_mask = signals_below_nmis();
    if (libc.set_action(line, &action, nullptr) == 0) return 0;
    const int error = errno;
    mark_detached(line);
    return error;
}

// The program has put our trampoline back by itself, after the line was given back or taken away.
void adopt_locked(int line) noexcept {
    if (vectors[line].owner.look() == previous_owner::reaction::given_back) {
        const struct sigaction by_default = {};
        static_cast<void>(vectors[line].owner.exchange(&by_default, nullptr));
    }
    mark_attached(line);
}

}  // namespace

int attach_line(int line) noexcept {
    lock_guard guard(attaching);
    if (finds_trampoline(line)) {
        adopt_locked(line);
        return 0;
    }
    if (const int error = install_locked(line); error != 0) return error;
    report_faults_in_handlers();
    // Handlers may retire from now on, and cannot create the thread that reclaims.
    detail::start_reclaimer_for_handlers();
    return 0;
}

void detach_line(int line) noexcept {
    lock_guard guard(attaching);
    // Somebody who has taken the signal since keeps it, and may call the trampoline as the handler
    // that was there before; then what was there before us is still ours to call.
    if (finds_trampoline(line)) static_cast<void>(vectors[line].owner.give_back(line));
    mark_detached(line);
    // [IV-1] release fence: the owner is in charge before the handlers go. Partner: [IV-2].
    // Weakened: as there.
    std::atomic_thread_fence(std::memory_order_release);
}

void forget_kept_interrupts() noexcept {
    attaching.reset();
    kept.taken = kept.arrived;
    // The lines are blocked still, until the region ends.
    if (kept.blocked == 0) __atomic_store_n(&this_reader().irq_kept, 0, __ATOMIC_RELAXED);
}

}  // namespace nmircu::platform

namespace nmircu {

const void* irq_information(const pt_regs* regs) noexcept {
    return regs->info;
}

}  // namespace nmircu
