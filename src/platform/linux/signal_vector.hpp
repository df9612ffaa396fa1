// SPDX-License-Identifier: MIT
//
// The NMI vector of user space: a signal whose sigaction is installed once and stays. Handlers come
// and go behind it. A late signal, raised before its source was stopped, therefore always finds
// mapped code.
#pragma once

#include <csignal>
#include <cstdint>

#include <nmircu/nmi.hpp>

namespace nmircu::platform {

// Installs the trampoline for `signal` (perf_signal or nmi_signal), remembering the previous owner.
// Context: thread. Returns 0 or an errno value; EBUSY: it was installed, and the program has taken
// the signal for itself since. Idempotent.
int attach_signal(int signal) noexcept;

// Makes sure that nmi_signal finds the trampoline, for questions (ask_threads.hpp) and not for
// dispatches: no reclaimer is started. Context: thread; waits for nobody. False: it cannot be done
// just now, or the program has taken the signal for itself since.
bool attach_for_questions() noexcept;

// As sigaction(signal, next, old), for a signal that is ours: what the program sets and asks for is
// the previous owner. False: it is not, and the caller is to go on to libc; else `error` is 0 or an
// errno value. Context: any.
bool exchange_owner(int signal, const struct sigaction* next, struct sigaction* old,
                    int& error) noexcept;

// Whether the signal finds the trampoline: it was installed, and the program has not taken the
// signal for itself since. One system call. Context: any.
bool is_ours(int signal) noexcept;

// In a forked child, whose parent may have been in the middle of the above.
void signal_vectors_forked() noexcept;

// As nmi_raise(tid), with a number by which its handler recognises it. A thread for which one of
// our signals is on its way already gets that one only: whoever needs an answer asks again.
// Context: any.
int request_nmi(int tid, std::uint32_t number) noexcept;
// The number with which the NMI was requested; 0: it was not, or by nmi_raise. Context: nmi.
std::uint32_t requested_number(const pt_regs* regs) noexcept;

// Whether the trampoline was ever installed for the signal. Context: any.
bool is_attached(int signal) noexcept;

// Asked about each of our own signals before it is dispatched; false swallows it (a duplicate,
// say). Context of the filter: nmi, inside a read-side section; so one that is replaced is unused
// after rcu_synchronize. Null: none.
using signal_filter = bool (*)(const siginfo_t* info);
void set_signal_filter(signal_filter filter) noexcept;

}  // namespace nmircu::platform
