// SPDX-License-Identifier: MIT
//
// Whose a signal was before we took it, and what the kernel would have done with it: an action that
// is kept beside ours and called in its place. The program may change it at any time, as sigaction
// lets it. Context: any, where nothing else is said; nothing here allocates or waits.
#pragma once

#include <atomic>
#include <csignal>

#include <ucontext.h>

namespace nmircu::platform {

// What the kernel does for a signal without a handler: ends the process, as that signal ends it.
// Context: in the signal's handler.
void act_by_default(int signal) noexcept;

class previous_owner {
  public:
    // The action that `signal` has now. Before our own is installed: a signal may follow at once.
    // Returns 0 or an errno value. Context: thread.
    int remember(int signal) noexcept;

    // As sigaction on the signal would, if it were still the owner's: `next` and `old` may be null.
    // Returns 0; or ENOMEM: more than 128 different actions have been seen in this process.
    int exchange(const struct sigaction* next, struct sigaction* old) noexcept;

    // Calls the owner as the kernel would have: its mask, its argument list, its SA_RESETHAND; ends
    // the program if the owner is the default action. Context: in the signal's handler, outside
    // read-side sections, errno restored: the owner may leave by longjmp. The signal mask that it
    // finds stays until the handler returns.
    void call(int signal, siginfo_t* info, ucontext_t* context) noexcept;

  private:
    const struct sigaction* take_action() noexcept;

    // Into a table whose entries never change. Null: the default action.
    std::atomic<const struct sigaction*> action_{nullptr};
};

}  // namespace nmircu::platform
