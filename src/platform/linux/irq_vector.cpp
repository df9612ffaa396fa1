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
//   attached_lines    attach_line, under lock                         trampolines
//   a vector's owner  attach_line, under lock                         trampolines
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

// There is no room: back into the thread's queue, behind what is there.
void give_back(int line, siginfo_t* info) noexcept {
    const int saved_errno = errno;
    if (::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), ::syscall(SYS_gettid), line, info) != 0) {
        vectors[line].lost.fetch_add(1, std::memory_order_relaxed);  // a count for people
    }
    errno = saved_errno;
}

void keep_back(detail::reader_state& self, int line, siginfo_t* info,
               ucontext_t& context) noexcept {
    if (kept.arrived - kept.taken < most_kept) {
        save(kept.ring[kept.arrived % most_kept], info, context);
        ++kept.arrived;
    } else {
        give_back(line, info);
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
    if (regs.forward) vectors[line].owner.call(line, info, &context);
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
    void call_owner() noexcept {
        vectors[info.si_signo].owner.call(info.si_signo, &info, &context);
    }
};

// Oldest first. What nobody claims goes into `unclaimed`, of which there are `count`.
void take_all_kept(const sigset_t& mask, saved_interrupt (&unclaimed)[most_kept],
                   unsigned& count) noexcept {
    // Relaxed: read anew each time, and changed in one store.
    while (__atomic_load_n(&kept.arrived, __ATOMIC_RELAXED) != kept.taken) {
        const saved_interrupt next = kept.ring[kept.taken % most_kept];
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

void take_kept_interrupts() noexcept {
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
    struct sigaction owner;
    static_cast<void>(vectors[line].owner.exchange(nullptr, &owner));
    const bool takes_info = (owner.sa_flags & SA_SIGINFO) != 0;
    if (!takes_info && owner.sa_handler == SIG_DFL) return false;
    regs->forward = takes_info || owner.sa_handler != SIG_IGN;
    return true;
}

std::uint64_t lost_on_line(int line) noexcept {
    return vectors[line].lost.load(std::memory_order_relaxed);  // a count for people
}

int attach_line(int line) noexcept {
    lock_guard guard(attaching);
    struct sigaction current;
    if (libc.set_action(line, nullptr, &current) != 0) return errno;
    if ((current.sa_flags & SA_SIGINFO) != 0 && current.sa_sigaction == trampoline) return 0;
    // Remembered first: the trampoline may run the moment it is installed.
    if (const int error = vectors[line].owner.remember(line); error != 0) return error;
    struct sigaction action = {};
    action.sa_sigaction = trampoline;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
    action.sa_mask = signals_below_nmis();
    if (libc.set_action(line, &action, nullptr) != 0) return errno;
    attached_lines.fetch_or(bit_of(line), std::memory_order_relaxed);  // see keep_back
    report_faults_in_handlers();
    // Handlers may retire from now on, and cannot create the thread that reclaims.
    detail::start_reclaimer_for_handlers();
    return 0;
}

void forget_kept_interrupts() noexcept {
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
