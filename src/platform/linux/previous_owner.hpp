// SPDX-License-Identifier: MIT
//
// Whose a signal was before we took it, and what the kernel would have done with it: an action that
// is kept beside ours and called in its place. The program may change it at any time, as sigaction
// lets it. Context: any, where nothing else is said; nothing here allocates or waits.
#pragma once

#include <atomic>
#include <csignal>
#include <cstdint>

#include <ucontext.h>

namespace nmircu::platform {

// What the kernel does for a signal without a handler: nothing, for the few that are ignored; stops
// the process (by SIGSTOP); or ends it, as that signal ends it. Context: in the signal's handler.
void act_by_default(int signal) noexcept;

class previous_owner {
  public:
    // The action that `signal` has now. Before our own is installed: a signal may follow at once.
    // Returns 0 or an errno value. Context: thread.
    int remember(int signal) noexcept;

    // As sigaction on the signal would, if it were still the owner's: `next` and `old` may be null.
    // Returns 0; or ENOMEM: more than 128 different actions have been seen in this process.
    int exchange(const struct sigaction* next, struct sigaction* old) noexcept;

    // Makes what the owner would do now the signal's action again: from here on the signal is the
    // kernel's business, until it is remembered anew. Returns 0 or an errno value. Context: thread.
    int give_back(int signal) noexcept;

    enum class reaction : std::uint8_t { by_default, ignores, handles, given_back };
    [[nodiscard]] reaction look() const noexcept;

    // Calls the owner as the kernel would have: its mask, its argument list, its SA_RESETHAND; does
    // what the default action is, if that is the owner. Context: in the signal's handler, outside
    // read-side sections, errno restored: the owner may leave by longjmp. The signal mask that it
    // finds stays until the handler returns. False: nothing was done, the signal is given back.
    bool call(int signal, siginfo_t* info, ucontext_t* context) noexcept;

  private:
    const struct sigaction* take_action() noexcept;

    // Into a table whose entries never change, or to the mark of a signal that was given back.
    // Null: the default action.
    std::atomic<const struct sigaction*> action_{nullptr};
};

}  // namespace nmircu::platform
