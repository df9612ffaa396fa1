// SPDX-License-Identifier: MIT
//
// The signals `nmi run` must not die of while a program runs under it, as messages: the end of a
// child, and what somebody wants the command to do. Single-threaded use only.
#pragma once

#include <optional>

#include <nmi/launch/child.hpp>
#include <nmi/unique_fd.hpp>

namespace nmircu::command {

class signal_inbox {
  public:
    // From now on SIGCHLD, SIGINT, SIGQUIT, SIGTERM and SIGHUP are messages.
    signal_inbox();
    // From now on they are what they were.
    ~signal_inbox();
    signal_inbox(const signal_inbox&) = delete;
    signal_inbox& operator=(const signal_inbox&) = delete;

    // Readable when there is a message.
    [[nodiscard]] int fd() const { return fd_.get(); }
    // What a child must be given back.
    [[nodiscard]] const inherited_signals& before() const { return before_; }

    struct received {
        int signal;
        bool from_terminal;  // the whole process group has it already
    };
    std::optional<received> next();

  private:
    inherited_signals before_{};
    unique_fd fd_;
};

}  // namespace nmircu::command
