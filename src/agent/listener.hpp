// SPDX-License-Identifier: MIT
//
// The socket on which the nmi command finds this process. Control thread.
#pragma once

#include <string>

namespace nmircu::agent {

// Makes the socket at socket_path(getpid()), replacing one that a dead process of that number left.
// A non-blocking descriptor and its `path`, or -1: then the command can reach this process only
// over its channel, if there is one.
int listen_for_commands(std::string& path);

// Accepts one peer. -1: there is none, or it is neither of this process's user nor root.
int accept_peer(int listener);

}  // namespace nmircu::agent
