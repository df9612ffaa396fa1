// SPDX-License-Identifier: MIT
//
// One peer of the agent: whole messages in, whole messages out, never blocking. The peer may be
// slow, mad or malicious; all it can do is lose its own connection. Control thread.
#pragma once

#include <cstdint>
#include <string>

#include <agent/protocol.hpp>

namespace nmircu::agent {

class connection {
  public:
    // Takes over a connected, non-blocking socket.
    connection(int socket, std::uint64_t id) : socket_(socket), id_(id) {}
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;
    ~connection();

    [[nodiscard]] int socket() const { return socket_; }
    [[nodiscard]] std::uint64_t id() const { return id_; }
    // When something last went over it, in either direction.
    [[nodiscard]] std::uint64_t active_ns() const { return active_ns_; }
    void touch(std::uint64_t now_ns) { active_ns_ = now_ns; }

    // Takes in what has arrived.
    void receive(std::uint64_t now_ns);
    // The next whole request, once the one before it is answered. False: there is none (yet).
    bool next(message& request);

    // Sends, now as far as it goes, the rest in flush. `file` goes along (-1: none).
    void send(const message& reply, int file, std::uint64_t now_ns);
    void flush(std::uint64_t now_ns);
    [[nodiscard]] bool must_flush() const { return !outgoing_.empty(); }

    // Its last request is still being worked on; it gets the reply before the next is looked at.
    bool waiting = false;

    // When to give up a peer that owes us the rest of a message, or does not take ours. 0: never.
    [[nodiscard]] std::uint64_t deadline_ns() const;
    void give_up() { broken_ = true; }

    // The peer can be read from and is to be. A peer with an answer to come has to wait.
    [[nodiscard]] bool listens() const { return !waiting && !ended_ && !must_flush(); }
    // Nothing more can come of it: a broken protocol, a broken connection, or closed by the peer
    // with everything answered. Requires that next has returned false.
    [[nodiscard]] bool finished() const { return broken_ || (ended_ && !waiting && !must_flush()); }

  private:
    int socket_;
    std::uint64_t id_;
    std::uint64_t active_ns_ = 0;
    std::string incoming_;
    std::string outgoing_;
    bool ended_ = false;
    bool broken_ = false;
};

}  // namespace nmircu::agent
