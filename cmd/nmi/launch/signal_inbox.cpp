// SPDX-License-Identifier: MIT
//
// Signals as messages; see signal_inbox.hpp.
#include <nmi/launch/signal_inbox.hpp>

#include <sys/signalfd.h>

namespace nmircu::command {

signal_inbox::signal_inbox() {
    sigset_t ours;
    sigemptyset(&ours);
    for (const int signal : {SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP})
        sigaddset(&ours, signal);
    sigprocmask(SIG_BLOCK, &ours, &before_.mask);
    // Where our parent ignored SIGCHLD, children would vanish without a status.
    struct sigaction plain {};
    plain.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &plain, &before_.child_ended);
    fd_ = unique_fd(signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK));
}

signal_inbox::~signal_inbox() {
    while (next()) {  // else they would arrive as signals below
    }
    sigaction(SIGCHLD, &before_.child_ended, nullptr);
    sigprocmask(SIG_SETMASK, &before_.mask, nullptr);
}

std::optional<signal_inbox::received> signal_inbox::next() {
    signalfd_siginfo info;
    if (read(fd_.get(), &info, sizeof info) != sizeof info) return std::nullopt;
    return received{static_cast<int>(info.ssi_signo), info.ssi_code == SI_KERNEL};
}

}  // namespace nmircu::command
