// SPDX-License-Identifier: MIT
//
// Finding and reaching the agent of a process; see connect.hpp.
#include <nmi/target/connect.hpp>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <nmi/complaint.hpp>

namespace nmircu::command {
namespace {

// The user a process belongs to.
unsigned owner_of(int pid, const std::string& attempt) {
    struct stat found;
    if (stat(fmt::format("/proc/{}", pid).c_str(), &found) != 0) {
        fail(exit_error, "{}: there is no process {}; try pgrep to find it", attempt, pid);
    }
    if (found.st_uid != geteuid() && geteuid() != 0) {
        fail(exit_error, "{}: process {} belongs to user {}; try as that user, or as root", attempt,
             pid, found.st_uid);
    }
    return found.st_uid;
}

// XDG_RUNTIME_DIR as the process was started with it; empty if it had none or may not be read.
std::string runtime_directory_of(int pid) {
    std::ifstream file(fmt::format("/proc/{}/environ", pid), std::ios::binary);
    const std::string variables{std::istreambuf_iterator<char>(file), {}};
    const std::string name = "XDG_RUNTIME_DIR=";
    for (std::size_t at = 0; at < variables.size();) {
        const std::size_t end = std::min(variables.find('\0', at), variables.size());
        if (variables.compare(at, name.size(), name) == 0) {
            return variables.substr(at + name.size(), end - at - name.size());
        }
        at = end + 1;
    }
    return {};
}

unique_fd open_socket(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
    unique_fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    // Connecting blocks while a stopped program's queue is full.
    const timeval patience{quick_deadline.count() / 1000, 0};
    setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        return {};
    return socket;
}

// Whether the process at the other end is the one we were asked for: a stale path may have been
// taken over. Unknown (another PID namespace) counts as yes.
bool is_peer(const unique_fd& socket, int pid) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
    return peer.pid == pid || peer.pid == 0;
}

// The agent's socket. It is where the program's environment said at its start; a program that has
// written over its environment since then most likely had the same as we have.
unique_fd find_agent_of(int pid, unsigned uid, const std::string& attempt) {
    const char* ours = std::getenv("XDG_RUNTIME_DIR");
    std::string why, first_path;
    for (const std::string& runtime : {runtime_directory_of(pid), std::string(ours ? ours : "")}) {
        const std::string path =
            agent::socket_path_of({uid, runtime.c_str()}, pid, agent::directory_use::look, why);
        if (first_path.empty()) first_path = path;
        if (path.empty()) continue;
        unique_fd socket = open_socket(path);
        if (socket && is_peer(socket, pid)) return socket;
    }
    if (first_path.empty()) {
        fail(exit_error, "{}: {}; try the program with another XDG_RUNTIME_DIR", attempt, why);
    }
    fail(exit_error,
         "{}: there is no agent in process {} (nobody answers at {}); try to start it with nmi run",
         attempt, pid, first_path);
}

}  // namespace

client connect_to(int pid, const std::string& attempt) {
    const unsigned uid = owner_of(pid, attempt);
    client connection(find_agent_of(pid, uid, attempt));
    const message hello = expect_ok(connection.request({"hello"}, quick_deadline), attempt);
    if (hello.empty() || hello[0] != agent::version_text) {
        fail(exit_error,
             "{}: its agent speaks version {} and this command version {}; try the nmi "
             "it was started with",
             attempt, hello.empty() ? "?" : one_line(hello[0]), agent::version_text);
    }
    return connection;
}

message expect_ok(reply answer, const std::string& attempt) {
    if (answer.ok) return std::move(answer.fields);
    const char* separator = answer.hint.empty() ? "" : "; ";
    fail(exit_error, "{}: {}{}{}", attempt, answer.error, separator, answer.hint);
}

}  // namespace nmircu::command
