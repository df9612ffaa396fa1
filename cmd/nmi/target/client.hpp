// SPDX-License-Identifier: MIT
//
// The command's end of the agent's socket: whole messages out, whole messages in, with deadlines,
// and the descriptors that come along. The agent is not trusted: a reply that breaks the protocol
// closes the connection. What the verbs mean is left to others (agent/protocol.hpp has the list).
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include <agent/protocol.hpp>
#include <nmi/unique_fd.hpp>

namespace nmircu::command {

using agent::message;
using milliseconds = std::chrono::milliseconds;

// A reply taken apart: the fields behind `ok`, or what was wrong and what to try.
struct reply {
    bool ok = false;
    message fields;
    std::string error;
    std::string hint;
};

class client {
  public:
    explicit client(unique_fd socket) : socket_(std::move(socket)) {}

    [[nodiscard]] int fd() const { return socket_.get(); }
    // No more messages will come: the agent is gone, broke the protocol, or was closed.
    [[nodiscard]] bool closed() const { return !socket_; }
    // The program has said that it is about to end.
    [[nodiscard]] bool exiting() const { return exiting_; }
    void close() { socket_.reset(); }

    // Sends one request; false if the connection is or now becomes closed.
    bool send(const message& request);
    // Takes in what has arrived, waiting at most `timeout` for something to arrive. False on
    // timeout.
    bool receive(milliseconds timeout);
    // The next reply among what has been taken in.
    std::optional<reply> next();
    // send, then receive until the reply is there. Without one in time: not ok, `error` says so.
    reply request(const message& request, milliseconds deadline);

    // The descriptor that came with the last reply, if any.
    unique_fd take_descriptor() { return std::move(descriptor_); }

  private:
    unique_fd socket_;
    std::string received_;
    unique_fd descriptor_;
    bool exiting_ = false;
};

}  // namespace nmircu::command
