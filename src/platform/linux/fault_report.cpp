// SPDX-License-Identifier: MIT
//
// The handler of faults. It runs at the faulting instruction, on a thread in an unknown state: it
// reads that thread's record, writes one line, gives the fault back to the kernel, and returns, so
// that the instruction faults again and the core file shows it. Whoever has a handler of his own
// for a fault, or installs one later, keeps it.
#include "platform/linux/fault_report.hpp"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>

#include <nmircu/arch/context.hpp>
#include <nmircu/platform/port.hpp>
#include <nmircu/platform/reader.hpp>

#include "platform/linux/environment.hpp"
#include "platform/linux/libc_signals.hpp"
#include "platform/linux/previous_owner.hpp"
#include "platform/text.hpp"

namespace nmircu::platform {

namespace {

struct fault {
    int signal;
    const char* name;
};
constexpr fault faults[] = {
    {SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"}, {SIGFPE, "SIGFPE"}, {SIGILL, "SIGILL"}};

const char* name_of(int signal) noexcept {
    for (const fault& one : faults) {
        if (one.signal == signal) return one.name;
    }
    return "signal";
}

void report(int signal, const siginfo_t& info, const ucontext_t& context,
            const detail::reader_state& self) noexcept {
    text_line line;
    line << "nmircu: " << name_of(signal) << " (address " << info.si_addr << ") ";
    if (self.handler != nullptr) {
        line << "in handler " << self.handler->code->name << " (" << self.handler->code->function
             << ")";
    } else {
        line << "in an NMI";
    }
    line << " on thread " << port::current_thread() << ", at "
         << reinterpret_cast<const void*>(arch::instruction_pointer(context))
         << "; it ends the program";
    port::report(line.c_str());
}

void take_fault(int signal, siginfo_t* info, void* interrupted) {
    const int saved_errno = errno;
    const detail::reader_state& self = reader_state_of_this_thread;
    if (self.nmi_depth != 0 || self.handler != nullptr) {
        report(signal, *info, *static_cast<const ucontext_t*>(interrupted), self);
    }
    if (info->si_code > 0) {
        // It happens again when this returns.
        struct sigaction action = {};
        action.sa_handler = SIG_DFL;
        libc.set_action(signal, &action, nullptr);
    } else {
        act_by_default(signal);  // sent by somebody
    }
    errno = saved_errno;
}

// Read once, so that a value which does not parse is reported once.
bool are_wanted() noexcept {
    enum answer : std::uint8_t { unread, no, yes };
    static constinit std::atomic<answer> known{unread};
    // Relaxed: whoever finds it unread reads the same.
    answer current = known.load(std::memory_order_relaxed);
    if (current == unread) {
        std::uint64_t wanted = 1;
        read_setting("NMIRCU_FAULT_REPORTS", {0, 1}, wanted);
        current = wanted == 0 ? no : yes;
        known.store(current, std::memory_order_relaxed);
    }
    return current == yes;
}

}  // namespace

void report_faults_in_handlers() noexcept {
    if (!are_wanted()) return;
    for (const fault& one : faults) {
        struct sigaction now;
        if (libc.set_action(one.signal, nullptr, &now) != 0) continue;
        if ((now.sa_flags & SA_SIGINFO) != 0 || now.sa_handler != SIG_DFL) continue;
        struct sigaction action = {};
        action.sa_sigaction = take_fault;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        libc.set_action(one.signal, &action, nullptr);
    }
}

}  // namespace nmircu::platform
