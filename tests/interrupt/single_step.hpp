// SPDX-License-Identifier: MIT
//
// Runs code one instruction at a time on the calling thread and calls a function, usually one that
// raises an NMI, in between any two: with the trap flag set, the CPU raises SIGTRAP after each
// instruction. x86-64. Not for code that blocks SIGTRAP (fork, pthread_create), nor under
// ThreadSanitizer, which delays signals.
//
// A signal inside a restartable sequence makes the kernel start the sequence again, and one per
// instruction would do so for ever. So a sequence is interrupted at its first instruction, starts
// again, is interrupted once more, and is then let through to a breakpoint behind its last.
//
// The kernel's code for reading the clock begins again when a tick comes in between: where an
// action takes long, it gets few of them there, or it would never end.
#pragma once

#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <x86intrin.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <utility>

#include <gtest/gtest.h>
#include <nmircu/nmi.hpp>

namespace nmircu_test {

struct stepped {
    std::uint64_t steps = 0;      // instructions after which the thread was stopped
    std::uint64_t raised = 0;     // NMIs raised there
    std::uint64_t restarted = 0;  // restartable sequences that were started again
};

class single_step {
  public:
    using action = void (*)(std::uint64_t step);

    // Runs code() with do_this(n) after its n-th instruction.
    template <class Code>
    static stepped run(Code&& code, action do_this) {
        counts_ = {};
        act_ = do_this;
        install();
        stepping_ = true;
        __writeeflags(__readeflags() | trap_flag);
        code();
        __writeeflags(__readeflags() & ~trap_flag);
        stepping_ = false;
        sigaction(SIGTRAP, &before_, nullptr);
        return counts_;
    }

    // The usual action.
    static void raise(std::uint64_t) noexcept {
        if (nmircu::nmi_raise_self() == 0) ++counts_.raised;
    }

  private:
    static constexpr std::uint64_t trap_flag = 0x100;

    // struct rseq_cs of linux/rseq.h.
    struct sequence {
        std::uint32_t version, flags;
        std::uint64_t start, length, abort;
    };

    static void install() {
        struct sigaction ours = {};
        ours.sa_sigaction = trapped;
        ours.sa_flags = SA_SIGINFO;
        ASSERT_EQ(sigaction(SIGTRAP, &ours, &before_), 0);
    }

    static void trapped(int, siginfo_t*, void* context) {
        const int saved_errno = errno;
        greg_t* const regs = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
        if (!stepping_) {
            // Another thread ran into the breakpoint, which is gone soon.
            --regs[REG_RIP];
            return;
        }
        if (breakpoint_ != nullptr) leave_breakpoint(regs);
        ++counts_.steps;
        // The address of the descriptor was in rax one instruction ago (nmircu/arch/rseq.hpp).
        const greg_t descriptor = std::exchange(last_rax_, regs[REG_RAX]);
        if (was_restarted(regs) && ++counts_.restarted % 2 == 0) {
            // No NMI: its dispatch might run into the breakpoint.
            let_through(regs, *reinterpret_cast<const sequence*>(descriptor));
        } else if (!reads_clock_for_long(regs)) {
            act_(counts_.steps);
        }
        errno = saved_errno;
    }

    static bool reads_clock_for_long(const greg_t* regs) {
        static const std::uint64_t kernels_code = getauxval(AT_SYSINFO_EHDR);
        constexpr std::uint64_t its_bytes = 8192, few = 300;
        const bool inside = std::uint64_t(regs[REG_RIP]) - kernels_code < its_bytes;
        steps_in_clock_ = inside ? steps_in_clock_ + 1 : 0;
        return steps_in_clock_ > few;
    }

    // The kernel has moved the thread to an abort handler, which a signature precedes.
    static bool was_restarted(const greg_t* regs) {
        constexpr std::uint32_t signature = 0x53053053;
        std::uint32_t before;
        std::memcpy(&before, reinterpret_cast<const char*>(regs[REG_RIP]) - 4, sizeof(before));
        return before == signature;
    }

    static void let_through(greg_t* regs, const sequence& what) {
        if (what.abort != std::uint64_t(regs[REG_RIP])) return;
        breakpoint_ = reinterpret_cast<std::uint8_t*>(what.start + what.length);
        const std::uintptr_t page = reinterpret_cast<std::uintptr_t>(breakpoint_) & ~0xffful;
        mprotect(reinterpret_cast<void*>(page), 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
        under_breakpoint_ = *breakpoint_;
        __atomic_store_n(breakpoint_, 0xcc, __ATOMIC_RELAXED);
        regs[REG_EFL] &= ~greg_t(trap_flag);
    }

    static void leave_breakpoint(greg_t* regs) {
        __atomic_store_n(breakpoint_, under_breakpoint_, __ATOMIC_RELAXED);
        breakpoint_ = nullptr;
        --regs[REG_RIP];
        regs[REG_EFL] |= greg_t(trap_flag);
    }

    static inline stepped counts_;
    static inline action act_ = nullptr;
    static inline thread_local bool stepping_ = false;
    static inline struct sigaction before_;
    static inline greg_t last_rax_ = 0;
    static inline std::uint64_t steps_in_clock_ = 0;
    static inline std::uint8_t* breakpoint_ = nullptr;
    static inline std::uint8_t under_breakpoint_ = 0;
};

}  // namespace nmircu_test
