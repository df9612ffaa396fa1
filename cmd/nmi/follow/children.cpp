// SPDX-License-Identifier: MIT
//
// All children, and the socket they come to; see children.hpp.
#include <nmi/follow/children.hpp>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <sstream>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nmi/attach/process_facts.hpp>
#include <nmi/complaint.hpp>
#include <nmi/file_text.hpp>
#include <nmi/output/append_profile.hpp>

namespace nmircu::command {
namespace {

constexpr int most_waiting = 512;
constexpr std::size_t most_live = 512;  // descriptors: a few each, and those of what it has mapped
constexpr std::size_t most_unnamed = 32;  // that have ended and wait for their functions' names
constexpr milliseconds look_interval{100};
constexpr unsigned looks_before_strange = 3;

// Beside the sockets of agents, and with a name that is no process's.
std::string make_path(const std::string& attempt) {
    std::string why;
    const std::string own = agent::socket_path(getpid(), why);
    const std::size_t slash = own.find_last_of('/');
    if (own.empty()) {
        fail(exit_error, "{}: no socket for its children: {}; try another XDG_RUNTIME_DIR", attempt,
             why);
    }
    return own.substr(0, slash + 1) + "follow-" + own.substr(slash + 1);
}

unique_fd listen_at(const std::string& path, const std::string& attempt) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    unique_fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (path.size() >= sizeof address.sun_path) {
        fail(exit_error, "{}: {} is too long for a socket; try another XDG_RUNTIME_DIR", attempt,
             path);
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    unlink(path.c_str());
    if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        chmod(path.c_str(), 0600) != 0 || listen(socket.get(), most_waiting) != 0) {
        fail(exit_error, "{}: no socket at {}: {}; try another XDG_RUNTIME_DIR", attempt, path,
             std::strerror(errno));
    }
    return socket;
}

// 0: nobody we would listen to.
int process_of(const unique_fd& socket) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return 0;
    return peer.uid == geteuid() || peer.uid == 0 ? peer.pid : 0;
}

void watch(const unique_fd& events, int fd) {
    epoll_event wanted{};
    wanted.events = EPOLLIN;
    epoll_ctl(events.get(), EPOLL_CTL_ADD, fd, &wanted);
}

void add_descendants(int pid, std::vector<int>& found) {
    for (const int thread : threads_of(pid)) {
        std::istringstream numbers(
            text_of_file(fmt::format("/proc/{}/task/{}/children", pid, thread)));
        for (int child = 0; numbers >> child && found.size() < 10000;) {
            found.push_back(child);
            add_descendants(child, found);
        }
    }
}

std::string name_of(int pid) {
    const std::string text = text_of_file(fmt::format("/proc/{}/comm", pid));
    return one_line(text.substr(0, text.find('\n')));
}

}  // namespace

children::children(const std::string& attempt, std::vector<message> loads)
    : attempt_(attempt),
      loads_(std::move(loads)),
      path_(make_path(attempt)),
      listener_(listen_at(path_, attempt)),
      events_(epoll_create1(EPOLL_CLOEXEC)) {
    watch(events_, listener_.get());
}

children::~children() {
    unlink(path_.c_str());
}

void children::accept_all() {
    for (;;) {
        unique_fd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!socket) return;
        enter(std::move(socket));
    }
}

void children::enter(unique_fd socket) {
    const int pid = process_of(socket);
    if (pid == 0 || live_.size() >= most_live) return;  // it goes on without
    auto one = std::make_unique<followed_child>(std::move(socket), pid);
    if (unwinds_) one->unwind_stacks();
    // A fork that became a program before we came to it comes again.
    if (!one->enter(loads_)) return;
    entered_.insert(pid);
    watch(events_, one->fd());
    live_.push_back(std::move(one));
}

void children::retire(std::unique_ptr<followed_child> one) {
    if (!one->has_samples()) return;
    ended_.push_back(std::move(one));
    if (ended_.size() <= most_unnamed) return;
    made_.push_back(ended_.front()->make_profile(time_));
    ended_.erase(ended_.begin());
}

void children::serve(int root) {
    accept_all();
    std::vector<std::unique_ptr<followed_child>> live;
    for (auto& one : live_) {
        if (one->attend()) {
            live.push_back(std::move(one));
        } else {
            retire(std::move(one));
        }
    }
    live_ = std::move(live);
    if (std::chrono::steady_clock::now() < next_look_) return;
    next_look_ = std::chrono::steady_clock::now() + look_interval;
    for (const auto& one : live_)
        one->refresh();
    look_for_others(root);
}

// What lives for three looks and never came: linked statically, privileged, without its
// environment.
void children::look_for_others(int root) {
    std::vector<int> found;
    add_descendants(root, found);
    std::map<int, unsigned> unknown;
    for (const int pid : found) {
        if (entered_.count(pid) != 0) continue;
        const auto before = unknown_.find(pid);
        const unsigned looks = before == unknown_.end() ? 1 : before->second + 1;
        unknown[pid] = looks;
        if (looks == looks_before_strange) ++strangers_[name_of(pid)];
    }
    unknown_ = std::move(unknown);
}

void children::leave() {
    accept_all();
    for (auto& one : live_) {
        if (one->attend()) one->leave();
        retire(std::move(one));
    }
    live_.clear();
    listener_.reset();
    remove_sockets();
}

// Of agents whose process ended without exit handlers, or became a program that we could not enter.
void children::remove_sockets() const {
    const std::string folder = path_.substr(0, path_.find_last_of('/') + 1);
    for (const int pid : entered_) {
        if (kill(pid, 0) == 0 || errno != ESRCH) continue;
        unlink(fmt::format("{}{}.sock", folder, pid).c_str());
    }
}

void children::add_to(profile& all, const std::string& time) {
    time_ = time;
    for (const auto& one : ended_)
        made_.push_back(one->make_profile(time));
    ended_.clear();
    for (const profile& one : made_)
        append_profile(all, one);
    made_.clear();
    all.comments.push_back("children: " + summary());
}

std::string children::summary() const {
    std::string text = fmt::format("{} recorded", entered_.size());
    unsigned others = 0;
    std::vector<std::string> names;
    for (const auto& [name, count] : strangers_) {
        others += count;
        names.push_back(name);
    }
    if (others != 0) text += fmt::format(", {} not ({})", others, fmt::join(names, " "));
    return text;
}

}  // namespace nmircu::command
