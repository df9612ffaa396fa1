// SPDX-License-Identifier: MIT
//
// Every agent of a user: the sockets in the folders where agents of his listen. For root,
// everybody's.
#pragma once

#include <string>
#include <vector>

#include <nmi/target/client.hpp>

namespace nmircu::command {

struct agent_socket {
    int pid = 0;  // as its file is called
    std::string path;
    client connection;   // closed: nobody answers
    std::string why;     // nobody answers; why
    bool ended = false;  // there is no such process
};

// Those of processes that exist first, by process number. Only folders that are their user's alone
// are looked into.
std::vector<agent_socket> find_agents();

}  // namespace nmircu::command
