// SPDX-License-Identifier: MIT
//
// Finding and reaching the agent of a process; see connect.hpp.
#include <nmi/target/connect.hpp>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <thread>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <nmi/attach/injection.hpp>
#include <nmi/complaint.hpp>
#include <nmi/file_text.hpp>
#include <nmi/library_directory.hpp>

namespace nmircu::command {
namespace {

// Of a process whose agent we may talk to.
process_facts known_facts(int pid, const std::string& attempt) {
    const process_facts facts = facts_of(pid, attempt);
    if (facts.uid != geteuid() && geteuid() != 0) {
        fail(exit_error, "{}: process {} belongs to user {}; try as that user, or as root", attempt,
             pid, facts.uid);
    }
    return facts;
}

// XDG_RUNTIME_DIR as the process was started with it; empty if it had none or may not be read.
std::string runtime_directory_of(int pid) {
    const std::string variables = text_of_file(fmt::format("/proc/{}/environ", pid));
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

// Whether the process at the other end is the one we were asked for: a stale path may have been
// taken over. Unknown (another PID namespace) counts as yes.
bool is_peer(const unique_fd& socket, int pid) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
    return peer.pid == pid || peer.pid == 0;
}

struct search {
    unique_fd socket;  // none: nobody answers
    std::string path;  // the first that was tried; empty: there can be none
    std::string why;
};

// The agent's socket. It is where the program's environment said at its start; a program that has
// written over its environment since then most likely had the same as we have.
search find_agent_of(const process_facts& facts) {
    const char* ours = std::getenv("XDG_RUNTIME_DIR");
    search found;
    for (const std::string& runtime :
         {runtime_directory_of(facts.pid), std::string(ours ? ours : "")}) {
        const std::string path =
            agent::socket_path_of({facts.uid, runtime.c_str(), facts.root.c_str()}, facts.inner_pid,
                                  agent::directory_use::look, found.why);
        if (found.path.empty()) found.path = path;
        if (path.empty()) continue;
        found.socket = open_socket(path);
        if (found.socket && is_peer(found.socket, facts.pid)) return found;
        found.socket.reset();
    }
    return found;
}

client greet(unique_fd socket, const std::string& attempt) {
    client connection(std::move(socket));
    const message hello = expect_ok(connection.request({"hello"}, quick_deadline), attempt);
    if (hello.empty() || hello[0] != agent::version_text) {
        fail(exit_error,
             "{}: its agent speaks version {} and this command version {}; try the nmi "
             "it was started with",
             attempt, hello.empty() ? "?" : one_line(hello[0]), agent::version_text);
    }
    return connection;
}

[[noreturn]] void fail_without_agent(int pid, const search& found, const std::string& attempt) {
    if (found.path.empty()) {
        fail(exit_error, "{}: {}; try the program with another XDG_RUNTIME_DIR", attempt,
             found.why);
    }
    fail(exit_error,
         "{}: there is no agent in process {} (nobody answers at {}); try nmi attach, or to start "
         "it with nmi run",
         attempt, pid, found.path);
}

}  // namespace

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

client connect_to(int pid, const std::string& attempt) {
    search found = find_agent_of(known_facts(pid, attempt));
    if (!found.socket) fail_without_agent(pid, found, attempt);
    return greet(std::move(found.socket), attempt);
}

client connect_or_attach(int pid, seccomp_filters filters, const std::string& attempt,
                         bool* attached) {
    if (attached != nullptr) *attached = false;
    const process_facts facts = known_facts(pid, attempt);
    search found = find_agent_of(facts);
    if (found.socket) return greet(std::move(found.socket), attempt);
    inject(check_target(pid, find_agent(attempt), filters, attempt), attempt);
    if (attached != nullptr) *attached = true;
    for (const auto end = std::chrono::steady_clock::now() + attach_deadline; !found.socket;) {
        if (std::chrono::steady_clock::now() >= end) {
            fail(exit_error,
                 "{}: the agent is in process {} but does not answer within {} s at {} {}; see "
                 "whether the program may make sockets there",
                 attempt, pid, attach_deadline.count() / 1000, found.path, found.why);
        }
        std::this_thread::sleep_for(milliseconds(1));
        found = find_agent_of(facts);
    }
    return greet(std::move(found.socket), attempt);
}

message expect_ok(reply answer, const std::string& attempt) {
    if (answer.ok) return std::move(answer.fields);
    const char* separator = answer.hint.empty() ? "" : "; ";
    fail(exit_error, "{}: {}{}{}", attempt, answer.error, separator, answer.hint);
}

}  // namespace nmircu::command
