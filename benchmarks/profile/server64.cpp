// SPDX-License-Identifier: MIT
//
// server64 REQUESTS: a server of 64 threads, each with a connection of its own, and a process that
// keeps all of them busy. A request costs some 20 us: a text is built, hashed, and sent back.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr int connections = 64;

[[gnu::noinline]] std::uint64_t hash(const std::string& text) {
    std::uint64_t sum = 14695981039346656037ull;
    for (const char c : text)
        sum = (sum ^ static_cast<unsigned char>(c)) * 1099511628211ull;
    return sum;
}

[[gnu::noinline]] std::uint64_t answer(std::uint64_t request) {
    std::string text;
    for (int i = 0; i < 400; ++i)
        text += std::to_string(request * 31 + static_cast<std::uint64_t>(i));
    return hash(text);
}

void serve(int socket) {
    std::uint64_t request = 0;
    while (read(socket, &request, sizeof request) == sizeof request) {
        const std::uint64_t reply = answer(request);
        if (write(socket, &reply, sizeof reply) != sizeof reply) std::abort();
    }
}

// One request on each connection, a new one as soon as a reply is there.
void generate(const std::vector<int>& sockets, long requests) {
    std::vector<pollfd> all;
    for (const int socket : sockets)
        all.push_back({socket, POLLIN, 0});
    long sent = 0, received = 0;
    const auto send_one = [&](int socket) {
        const auto request = static_cast<std::uint64_t>(sent);
        if (sent < requests && write(socket, &request, sizeof request) == sizeof request) ++sent;
    };
    for (const int socket : sockets)
        send_one(socket);
    while (received < sent && poll(all.data(), all.size(), -1) > 0) {
        for (const pollfd& one : all) {
            std::uint64_t reply = 0;
            if ((one.revents & POLLIN) == 0) continue;
            if (read(one.fd, &reply, sizeof reply) != sizeof reply) continue;
            ++received;
            send_one(one.fd);
        }
    }
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 2) return 2;
    std::vector<int> servers, clients;
    for (int i = 0; i < connections; ++i) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 1;
        servers.push_back(ends[0]);
        clients.push_back(ends[1]);
    }
    const pid_t generator = fork();
    if (generator == 0) {
        for (const int socket : servers)
            close(socket);
        generate(clients, std::strtol(arguments[1], nullptr, 10));
        _exit(0);
    }
    for (const int socket : clients)
        close(socket);
    std::vector<std::thread> threads;
    for (const int socket : servers)
        threads.emplace_back(serve, socket);
    for (std::thread& one : threads)
        one.join();
    int status = 0;
    waitpid(generator, &status, 0);
    return status == 0 ? 0 : 1;
}
