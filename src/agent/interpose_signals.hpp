// SPDX-License-Identifier: MIT
//
// The agent's own sigaction, signal, sigset, pthread_sigmask, sigprocmask, sigwait and their kin,
// which stand before libc's in the program that it is preloaded into.
#pragma once

namespace nmircu::agent {

// Finds libc's, and makes everything below the agent use them. Context: thread, before nmi_attach.
void use_libcs_signals() noexcept;

}  // namespace nmircu::agent
