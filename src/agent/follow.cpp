// SPDX-License-Identifier: MIT
//
// The recorder's path, and the way there; see follow.hpp.
#include <agent/follow.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include <agent/own_files.hpp>

namespace nmircu::agent {
namespace {

constexpr std::size_t path_bytes = sizeof(sockaddr_un::sun_path);

// Relaxed: a fork copies memory, and half a path is one where nobody listens.
constinit std::atomic<bool> is_followed{false};
char recorder_path[path_bytes];

// The recorder will have code loaded into this process, so only the same user or root may be it.
bool may_command(int recorder) {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    return getsockopt(recorder, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 &&
           (credentials.uid == 0 || credentials.uid == geteuid());
}

bool reach(int socket) {
    // With its queue full, connecting waits.
    constexpr timeval patience{1, 0};
    setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, recorder_path, path_bytes);
    return connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
           may_command(socket) && fcntl(socket, F_SETFL, O_NONBLOCK) == 0;
}

}  // namespace

void follow(const char* path) noexcept {
    is_followed.store(false, std::memory_order_relaxed);  // see its declaration
    if (path == nullptr || *path == '\0' || std::strlen(path) >= path_bytes) return;
    std::memset(recorder_path, 0, path_bytes);
    std::memcpy(recorder_path, path, std::strlen(path));
    is_followed.store(true, std::memory_order_relaxed);
}

bool follows() noexcept {
    return is_followed.load(std::memory_order_relaxed);  // see its declaration
}

int connect_to_recorder() noexcept {
    const int socket = adopt_file(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (socket < 0 || reach(socket)) return socket;
    close_own_file(socket);
    return -1;
}

}  // namespace nmircu::agent
