// SPDX-License-Identifier: MIT
//
// Looking for sockets; see agents.hpp.
#include <nmi/target/agents.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <set>

#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nmi/commands/options.hpp>
#include <nmi/target/connect.hpp>

namespace nmircu::command {
namespace {

namespace fs = std::filesystem;

// The number a name such as "/run/user/1000" ends with, behind `prefix`; negative: none.
long number_behind(const std::string& name, const std::string& prefix) {
    long value = -1;
    if (!name.starts_with(prefix)) return -1;
    const char* const end = name.data() + name.size();
    const auto [at, error] = std::from_chars(name.data() + prefix.size(), end, value);
    return error == std::errc{} && at == end ? value : -1;
}

// Adds the folder of a user's sockets, if it is one and his alone.
void add_folder(std::set<std::pair<std::string, unsigned>>& folders, unsigned uid,
                const std::string& runtime) {
    std::string why;
    const std::string path =
        agent::socket_path_of({uid, runtime.c_str()}, 1, agent::directory_use::look, why);
    if (!path.empty()) folders.emplace(fs::path(path).parent_path().string(), uid);
}

std::set<std::pair<std::string, unsigned>> socket_folders() {
    std::set<std::pair<std::string, unsigned>> folders;
    const char* const runtime = std::getenv("XDG_RUNTIME_DIR");
    add_folder(folders, geteuid(), runtime == nullptr ? "" : runtime);
    add_folder(folders, geteuid(), "");
    if (geteuid() != 0) return folders;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator("/tmp", error)) {
        const long uid = number_behind(entry.path().string(), "/tmp/nmi-");
        if (uid >= 0) add_folder(folders, static_cast<unsigned>(uid), "");
    }
    for (const auto& entry : fs::directory_iterator("/run/user", error)) {
        const long uid = number_behind(entry.path().string(), "/run/user/");
        if (uid >= 0) add_folder(folders, static_cast<unsigned>(uid), entry.path().string());
    }
    return folders;
}

bool has_ended(int pid) {
    return kill(pid, 0) != 0 && errno == ESRCH;
}

std::string why_silent(int pid) {
    return !has_ended(pid) ? "nobody answers: its socket is left over, and the number is another's"
                           : "has ended without its exit handlers; its socket is left over";
}

// Who answers must be the user whose folder it is, under whatever number we know him.
bool is_owners(const unique_fd& socket, unsigned uid, int& pid) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
    if (peer.pid != 0) pid = peer.pid;
    return peer.uid == uid;
}

agent_socket open_agent(int pid, const std::string& path, unsigned uid) {
    unique_fd socket = open_socket(path);
    if (!socket) return {pid, path, client(unique_fd{}), why_silent(pid), has_ended(pid)};
    if (!is_owners(socket, uid, pid)) {
        return {pid, path, client(unique_fd{}), "another user's process answers", false};
    }
    return {pid, path, client(std::move(socket)), {}, false};
}

}  // namespace

std::vector<agent_socket> find_agents() {
    std::vector<agent_socket> found;
    for (const auto& [folder, uid] : socket_folders()) {
        std::error_code error;
        for (const auto& entry : fs::directory_iterator(folder, error)) {
            const std::string path = entry.path().string();
            if (entry.path().extension() != ".sock") continue;
            const long pid = number_behind(entry.path().stem().string(), "");
            if (pid < 1 || pid > most_pid) continue;
            found.push_back(open_agent(static_cast<int>(pid), path, uid));
        }
    }
    std::sort(found.begin(), found.end(), [](const agent_socket& a, const agent_socket& b) {
        return std::pair(a.ended, a.pid) < std::pair(b.ended, b.pid);
    });
    return found;
}

}  // namespace nmircu::command
