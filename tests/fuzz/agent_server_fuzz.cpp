// SPDX-License-Identifier: MIT
//
// Property: whatever is sent to an agent, by however many at once and in whatever pieces, with
// descriptors or half-closed, it goes on serving: a newcomer is greeted, and the agent leaves when
// it is told to. Nothing is loaded but files of the fuzzer's naming, of which there are none.
//
// Input: steps of one byte (the connection in the upper four bits, what to do in the lower) and
// their operands. Requests are made of words the agent knows as well as of bytes.
#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <agent/server.hpp>

#include "input.hpp"

extern "C" __attribute__((weak)) void __sanitizer_print_stack_trace();

namespace {

using namespace nmircu::agent;

constexpr int patience_ms = 10000;
constexpr int wait_ms = 100;

int checked(int file) {
    fuzz::require(file >= 0, "the test itself has what it needs");
    return file;
}

// In the abstract namespace: no file is left.
struct address {
    sockaddr_un name{};
    socklen_t bytes;
    address() {
        name.sun_family = AF_UNIX;
        const int length =
            std::snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "nmi-fuzz-%d", getpid());
        bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
    }
    [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&name); }
};

int listening_socket(const address& where) {
    const int listener = checked(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    checked(bind(listener, where.get(), where.bytes));
    checked(listen(listener, 16));
    return listener;
}

int connected_socket(const address& where) {
    const int one = checked(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    checked(connect(one, where.get(), where.bytes));
    return one;
}

// The agent's half: the control thread's loop and the worker, on threads of this process.
class agent {
  public:
    explicit agent(const address& where)
        : wake_(checked(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))),
          worker_([this] { wake(); }),
          modules_([this](const std::function<void()>& call) { worker_.on_control(call); },
                   pthread_create),
          server_({checked(dup(wake_)), listening_socket(where), -1, -1}, gates_, worker_, modules_,
                  1'000'000'000),
          job_thread_([this] { worker_.run(); }),
          control_thread_([this] {
              server_.run();
              has_left_.store(true);
          }) {}
    ~agent() {
        control_thread_.join();
        worker_.end();
        job_thread_.join();
        close(wake_);
    }
    agent(const agent&) = delete;
    agent& operator=(const agent&) = delete;

    // Somebody has asked it to, and it serves nobody any more.
    [[nodiscard]] bool has_left() const { return has_left_.load(); }

  private:
    void wake() const {
        const std::uint64_t one = 1;
        static_cast<void>(!write(wake_, &one, sizeof one));
    }
    const int wake_;
    agent_gates gates_;
    executor worker_;
    module_table modules_;
    server server_;
    std::atomic<bool> has_left_{false};
    std::thread job_thread_, control_thread_;
};

// Everybody who is connected; numbers of the input choose one, or make it.
class crowd {
  public:
    explicit crowd(const address& where) : where_(where) {}
    ~crowd() {
        for (const peer& one : members_)
            close(one.socket);
    }
    crowd(const crowd&) = delete;
    crowd& operator=(const crowd&) = delete;

    int member(unsigned number) { return connected(number).socket; }
    void send(unsigned number, const std::string& bytes) {
        peer& one = connected(number);
        send_some(one.socket, bytes);
        note(one, bytes);
    }
    void send_with_file(unsigned number, const std::string& bytes, int file);
    void drop(unsigned number) {
        peer& one = members_[number % members_.size()];
        close(one.socket);
        one = {};
    }
    // The fuzzer knows the word: it learns what its bytes are compared with.
    [[nodiscard]] bool said_detach() const { return said_detach_; }

    static void send_some(int socket, const std::string& bytes) {
        static_cast<void>(!::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
    }

  private:
    struct peer {
        int socket = -1;
        std::string said;
    };
    peer& connected(unsigned number) {
        peer& one = members_[number % members_.size()];
        if (one.socket < 0) one.socket = connected_socket(where_);
        return one;
    }
    void note(peer& one, const std::string& bytes) {
        one.said += bytes;
        said_detach_ = said_detach_ || one.said.find("detach") != std::string::npos;
    }

    const address& where_;
    std::array<peer, 16> members_;
    bool said_detach_ = false;
};

void crowd::send_with_file(unsigned number, const std::string& bytes, int file) {
    peer& one = connected(number);
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof file)] = {};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    cmsghdr* const attached = CMSG_FIRSTHDR(&header);
    attached->cmsg_level = SOL_SOCKET;
    attached->cmsg_type = SCM_RIGHTS;
    attached->cmsg_len = CMSG_LEN(sizeof file);
    std::memcpy(CMSG_DATA(attached), &file, sizeof file);
    static_cast<void>(!sendmsg(one.socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT));
    note(one, bytes);
}

message made_request(fuzz::input& in) {
    static const char* const words[] = {
        "hello", "rings", "start", "finish",      "status", "load", "swap",   "auto",
        "1000",  "perf",  "/",     "/no/such.so", "a=b",    "",     "unload", "detach"};
    message fields;
    const unsigned count = 1 + in.number<std::uint8_t>() % 6;
    for (unsigned i = 0; i < count; ++i) {
        const auto which = in.number<std::uint8_t>();
        fields.push_back(which < 200 ? words[which % 15] : in.text(which % 32));
        if (fields.back().find('\0') != std::string::npos) fields.back() = "nul";
    }
    // It ends the run: the fuzzer is not to say so all the time.
    if (fields[0] == "detach") fields[0] = "status";
    return fields;
}

void disturb(crowd& peers, fuzz::input& in) {
    const auto what = in.number<std::uint8_t>();
    const unsigned who = what >> 4;
    char sink[4096];
    switch (what & 7) {
        case 0:
            return peers.send(who, in.text(in.number<std::uint8_t>()));
        case 1:
        case 2:
            return peers.send(who, encode(made_request(in)));
        case 3: {  // a part of one
            const std::string frame = encode(made_request(in));
            return peers.send(who, frame.substr(0, in.number<std::uint8_t>()));
        }
        case 4:
            return peers.send_with_file(who, encode(made_request(in)), STDERR_FILENO);
        case 5:
            static_cast<void>(!recv(peers.member(who), sink, sizeof sink, MSG_DONTWAIT));
            return;
        case 6:
            shutdown(peers.member(who), in.number<std::uint8_t>() % 3);
            return;
        default:
            return peers.drop(who);
    }
}

std::string contents(const std::string& path) {
    std::ifstream file(path);
    std::string text(std::istreambuf_iterator<char>(file), {});
    return text.substr(0, text.find('\n'));
}

void show_own_stack(int) {
    if (__sanitizer_print_stack_trace != nullptr) __sanitizer_print_stack_trace();
}

// Where the threads are, as the kernel and they themselves tell it. The process ends anyway.
void show_threads() {
    struct sigaction show {};
    show.sa_handler = show_own_stack;
    sigaction(SIGUSR1, &show, nullptr);
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::fprintf(stderr, "thread %s: system call %s, waits in %s; %s\n", task.path().c_str(),
                     contents(task.path() / "syscall").c_str(),
                     contents(task.path() / "wchan").c_str(),
                     contents(task.path() / "stat").c_str());
        syscall(SYS_tgkill, getpid(), std::atoi(task.path().filename().c_str()), SIGUSR1);
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
}

// In short waits: while a machine stands still, its clock may go on. libFuzzer looks after its own
// timeout by SIGALRM. False: the agent has left.
bool becomes_readable(int socket, const agent& asked) {
    pollfd ready{socket, POLLIN, 0};
    for (int waits = 0; waits < patience_ms / wait_ms; ++waits) {
        const bool had_left = asked.has_left();
        if (poll(&ready, 1, wait_ms) == 1) return true;
        if (had_left) return false;
    }
    show_threads();
    fuzz::require(false, "a newcomer is answered in time");
    return false;
}

// Asks and waits; what the agent answers first, or "left".
std::string ask(const address& where, const message& request, const agent& asked) {
    const int newcomer = connected_socket(where);
    crowd::send_some(newcomer, encode(request));
    std::string received;
    message reply{"left"};
    std::size_t consumed = 0;
    while (decode(received, reply, consumed) == frame_state::incomplete) {
        if (!becomes_readable(newcomer, asked)) {
            reply = {"left"};
            break;
        }
        char bytes[4096];
        const ssize_t got = recv(newcomer, bytes, sizeof bytes, MSG_DONTWAIT);
        fuzz::require(got > 0, "a newcomer is not sent away");
        received.append(bytes, static_cast<std::size_t>(got));
    }
    close(newcomer);
    fuzz::require(!reply.empty(), "a reply is a message");
    return reply[0];
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const address where;
    fuzz::input in(data, size);
    agent served(where);
    bool said_detach = false;
    {
        crowd peers(where);
        while (!in.empty())
            disturb(peers, in);
        said_detach = peers.said_detach();
        const std::string greeting = ask(where, {"hello"}, served);
        fuzz::require(greeting == "ok" || said_detach, "a newcomer is greeted");
    }
    const std::string goodbye = ask(where, {"detach"}, served);
    fuzz::require(goodbye == "ok" || said_detach, "the agent leaves when told to");
    return 0;
}
