// SPDX-License-Identifier: MIT
//
// A real program under a real agent: starts it, talks to it over its standard input and output, to
// its agent over the channel or the socket, and looks at it from outside through /proc.
#pragma once

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <agent/protocol.hpp>

namespace test {

using nmircu::agent::failure;
using nmircu::agent::message;

// A hang is reported by whoever waits; nothing else depends on this number.
inline constexpr int patience_ms = 20000;

class unique_fd {
  public:
    unique_fd() = default;
    explicit unique_fd(int fd) : fd_(fd) {}
    unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    unique_fd& operator=(unique_fd&& other) noexcept {
        reset(std::exchange(other.fd_, -1));
        return *this;
    }
    ~unique_fd() { reset(); }
    void reset(int fd = -1) {
        if (fd_ >= 0) close(fd_);
        fd_ = fd;
    }
    [[nodiscard]] int get() const { return fd_; }

  private:
    int fd_ = -1;
};

inline bool wait_readable(int fd, int milliseconds = patience_ms) {
    pollfd one{fd, POLLIN, 0};
    return poll(&one, 1, milliseconds) > 0;
}

// One end of a conversation with the agent.
class peer {
  public:
    peer() = default;
    explicit peer(int socket) : socket_(socket) {}

    [[nodiscard]] int fd() const { return socket_.get(); }
    [[nodiscard]] bool connected() const { return socket_.get() >= 0; }
    void hang_up() { socket_.reset(); }
    void send_bytes(const std::string& bytes) const {
        [[maybe_unused]] const ssize_t sent =
            ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }
    void send(const message& request) const { send_bytes(nmircu::agent::encode(request)); }

    // The next message, or nothing: the agent hung up, or patience ended.
    std::optional<message> receive(int milliseconds = patience_ms) {
        message fields;
        for (;;) {
            std::size_t consumed = 0;
            if (nmircu::agent::decode(received_, fields, consumed) ==
                nmircu::agent::frame_state::complete) {
                received_.erase(0, consumed);
                return fields;
            }
            if (!wait_readable(fd(), milliseconds) || !read_some()) return std::nullopt;
        }
    }
    message ask(const message& request) {
        send(request);
        return receive().value_or(message{"no reply"});
    }
    // The agent has hung up on us.
    bool is_closed() {
        while (wait_readable(fd())) {
            if (!read_some()) return true;
        }
        return false;
    }
    [[nodiscard]] unique_fd take_file() { return std::move(file_); }

  private:
    bool read_some() {
        char bytes[65536];
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
        iovec part{bytes, sizeof bytes};
        msghdr header{};
        header.msg_iov = &part;
        header.msg_iovlen = 1;
        header.msg_control = control;
        header.msg_controllen = sizeof control;
        const ssize_t got = recvmsg(fd(), &header, MSG_CMSG_CLOEXEC);
        if (got <= 0) return false;
        if (const cmsghdr* attached = CMSG_FIRSTHDR(&header)) {
            int file = -1;
            std::memcpy(&file, CMSG_DATA(attached), sizeof file);
            file_.reset(file);
        }
        received_.append(bytes, static_cast<std::size_t>(got));
        return true;
    }

    unique_fd socket_;
    unique_fd file_;
    std::string received_;
};

// A status reply by the first word of its lines; each value the words after it.
class status_lines {
  public:
    explicit status_lines(const message& reply) {
        for (const std::string& field : reply) {
            std::vector<std::string> words;
            std::istringstream stream(field);
            for (std::string word; std::getline(stream, word, '\t');)
                words.push_back(word);
            if (words.empty()) continue;
            const std::string key = words[0];
            words.erase(words.begin());
            lines_.emplace(key, words);
        }
    }
    // Of the line with that key, and that first word if one is given; empty if there is none.
    [[nodiscard]] std::vector<std::string> line(const std::string& key,
                                                const std::string& first = "") const {
        const auto [begin, last] = lines_.equal_range(key);
        for (auto at = begin; at != last; ++at) {
            if (first.empty() || (!at->second.empty() && at->second[0] == first)) return at->second;
        }
        return {};
    }
    [[nodiscard]] std::uint64_t number(const std::string& key, std::size_t column,
                                       const std::string& first = "") const {
        const std::vector<std::string> words = line(key, first);
        return column < words.size() ? std::strtoull(words[column].c_str(), nullptr, 10) : 0;
    }
    [[nodiscard]] std::uint64_t sum(const std::string& key) const {
        std::uint64_t total = 0;
        for (const std::string& word : line(key))
            total += std::strtoull(word.c_str(), nullptr, 10);
        return total;
    }
    // Of a handler's or retired row.
    static constexpr std::size_t generation = 1, path = 2, calls = 3, handled = 4;

  private:
    std::multimap<std::string, std::vector<std::string>> lines_;
};

enum class channel { none, held };

// From now on, in this process and its children, that system call fails with ENOSYS.
inline void refuse_system_call(unsigned number) {
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog filter{std::size(code), code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

class program {
  public:
    explicit program(
        channel kind = channel::none, const std::string& other_preloads = "",
        const std::function<void()>& prepare = [] {}) {
        int input[2], output[2], pair[2] = {-1, -1};
        if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0) std::abort();
        if (kind == channel::held && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
            std::abort();
        pid_ = fork();
        if (pid_ == 0) {
            dup2(input[0], 0);
            dup2(output[1], 1);
            close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);  // whatever the test itself has inherited
            if (pair[1] >= 0) {
                setenv(nmircu::agent::channel_variable, std::to_string(dup(pair[1])).c_str(), 1);
            }
            setenv("LD_PRELOAD", (AGENT + other_preloads).c_str(), 1);
            prepare();
            execl(TARGET, TARGET, nullptr);
            _exit(127);
        }
        close(input[0]);
        close(output[1]);
        if (pair[1] >= 0) close(pair[1]);
        input_.reset(input[1]);
        output_.reset(output[0]);
        if (pair[0] >= 0) {
            channel_ = peer(pair[0]);
        } else {
            EXPECT_EQ(tell("alive"), "yes");  // so the agent, which comes first, listens
        }
    }
    program(const program&) = delete;
    program& operator=(const program&) = delete;
    ~program() {
        if (pid_ > 0) {
            kill(pid_, SIGKILL);
            wait();
        }
        unlink(socket_path().c_str());
    }

    [[nodiscard]] pid_t pid() const { return std::abs(pid_); }
    peer& run_channel() { return channel_; }
    void close_input() { input_.reset(); }

    // One command to the target, one line back.
    std::string tell(const std::string& command) {
        order(command);
        return answer();
    }
    void order(const std::string& command) {
        const std::string line = command + "\n";
        [[maybe_unused]] const ssize_t sent = write(input_.get(), line.data(), line.size());
    }
    std::string answer() {
        std::string text;
        char c = 0;
        while (wait_readable(output_.get()) && read(output_.get(), &c, 1) == 1) {
            if (c == '\n') return text;
            text += c;
        }
        return text + " (no more)";
    }

    [[nodiscard]] std::string socket_path() const {
        std::string why;
        return nmircu::agent::socket_path(std::abs(pid_), why);
    }
    // A new connection to the socket.
    [[nodiscard]] peer connect() const {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, socket_path().c_str(), sizeof address.sun_path - 1);
        const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0)
            return peer(socket);
        close(socket);
        return {};
    }
    message ask(const message& request) const {
        peer one = connect();
        return one.connected() ? one.ask(request) : message{"no connection"};
    }
    [[nodiscard]] status_lines status() const { return status_lines(ask({"status"})); }

    // Asks for the status until it shows what is waited for; false if patience ends.
    [[nodiscard]] bool wait_for(const std::function<bool(const status_lines&)>& seen) const {
        peer one = connect();
        const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(patience_ms);
        while (std::chrono::steady_clock::now() < end) {
            if (seen(status_lines(one.ask({"status"})))) return true;
            poll(nullptr, 0, 2);  // leaves the CPU to the program
        }
        return false;
    }
    // Until `more` further calls of the handler.
    [[nodiscard]] bool wait_for_calls(const std::string& handler, std::uint64_t more = 20) const {
        const std::uint64_t before = status().number("handler", status_lines::calls, handler);
        return wait_for([&](const status_lines& now) {
            return now.number("handler", status_lines::calls, handler) >= before + more;
        });
    }

    [[nodiscard]] std::string read_proc(const std::string& name) const {
        std::ifstream file("/proc/" + std::to_string(pid_) + "/" + name);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    [[nodiscard]] bool maps(const std::string& name) const {
        return read_proc("maps").find(name) != std::string::npos;
    }

    // Exit status, or 128 + signal as a shell would say; -1 if it does not end.
    int wait() {
        int status = 0;
        for (int waited = 0; waited < patience_ms; waited += 5) {
            if (waitpid(pid_, &status, WNOHANG) == pid_) {
                pid_ = -pid_;
                return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            }
            poll(nullptr, 0, 5);
        }
        return -1;
    }

  private:
    pid_t pid_ = 0;  // negative once it has ended
    unique_fd input_;
    unique_fd output_;
    peer channel_;
};

inline unsigned code_of(const message& reply) {
    if (reply.size() < 4 || reply[0] != "error") return 0;
    return static_cast<unsigned>(std::strtoul(reply[1].c_str(), nullptr, 10));
}

MATCHER(is_ok, "") {
    return !arg.empty() && arg[0] == "ok";
}
// An error of that code whose text has `text` in it, on one line, with a hint.
MATCHER_P2(is_refused, code, text, "") {
    return code_of(arg) == static_cast<unsigned>(code) && arg[2].find(text) != std::string::npos &&
           arg[2].find('\n') == std::string::npos && !arg[3].empty();
}

// A folder of a test's own, gone with it.
class scratch {
  public:
    scratch() {
        char name[] = "/tmp/nmi-agent-test-XXXXXX";
        path_ = mkdtemp(name);
    }
    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;
    ~scratch() { std::filesystem::remove_all(path_); }
    [[nodiscard]] std::string operator/(const std::string& name) const {
        return path_ + "/" + name;
    }
    std::string copy(const std::string& file, const std::string& name) const {
        std::filesystem::copy_file(file, *this / name);
        return *this / name;
    }
    std::string write(const std::string& name, const std::string& content) const {
        std::ofstream(*this / name, std::ios::binary) << content;
        return *this / name;
    }

  private:
    std::string path_;
};

}  // namespace test
