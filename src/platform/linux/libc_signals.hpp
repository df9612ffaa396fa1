// SPDX-License-Identifier: MIT
//
// libc's own sigaction and pthread_sigmask. Where this library is preloaded, the names mean what
// stands before libc's (the agent's, which keep our signals ours); everything below the agent calls
// these instead. Context: any.
#pragma once

#include <csignal>

namespace nmircu::platform {

struct libc_signals {
    int (*set_action)(int, const struct sigaction*, struct sigaction*);
    int (*set_mask)(int, const sigset_t*, sigset_t*);
};

// What the linker finds, unless somebody who stands before libc says better, once, at the start.
extern constinit libc_signals libc;

}  // namespace nmircu::platform
