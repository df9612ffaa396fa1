// SPDX-License-Identifier: MIT
//
// The agent's own sigaction, signal, pthread_sigmask and sigprocmask, which stand before libc's in
// the program that it is preloaded into.
#pragma once

namespace nmircu::agent {

// Finds libc's, and makes everything below the agent use them. Context: thread, before nmi_attach.
void use_libcs_signals() noexcept;

}  // namespace nmircu::agent
