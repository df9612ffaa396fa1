// SPDX-License-Identifier: MIT
//
// Listening and checking who knocks; see listener.hpp.
#include <agent/listener.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <agent/own_files.hpp>
#include <agent/protocol.hpp>

namespace nmircu::agent {
namespace {

constexpr int most_waiting = 16;

int stream_socket() {
    return adopt_file(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

// Somebody answers there: a process of the same number in another PID namespace.
bool is_in_use(const sockaddr_un& address) {
    const int probe = stream_socket();
    if (probe < 0) return false;
    const int result = connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const bool answers = result == 0 || errno == EAGAIN;
    close_own_file(probe);
    return answers;
}

bool bind_to(int socket, const sockaddr_un& address) {
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    if (bind(socket, generic, sizeof address) == 0) return true;
    if (errno != EADDRINUSE || is_in_use(address)) return false;
    unlink(address.sun_path);
    return bind(socket, generic, sizeof address) == 0;
}

bool is_allowed(int peer) {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    return getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 &&
           (credentials.uid == 0 || credentials.uid == geteuid());
}

}  // namespace

int listen_for_commands(std::string& path) {
    std::string why;  // for nobody: this process's standard error is not ours
    path = socket_path(getpid(), why);
    if (path.empty()) return -1;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    const int listener = stream_socket();
    if (listener >= 0 && bind_to(listener, address)) {
        chmod(address.sun_path, 0600);
        if (listen(listener, most_waiting) == 0) return listener;
        unlink(address.sun_path);
    }
    close_own_file(listener);
    path.clear();
    return -1;
}

int accept_peer(int listener) {
    const int peer = adopt_file(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (peer >= 0 && !is_allowed(peer)) {
        close_own_file(peer);
        return -1;
    }
    return peer;
}

}  // namespace nmircu::agent
