// SPDX-License-Identifier: MIT
//
// Buffers and deadlines of one peer; see connection.hpp.
#include <agent/connection.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <agent/own_files.hpp>

namespace nmircu::agent {
namespace {

constexpr std::size_t read_bytes = 16384;

// Sends `bytes`, the descriptor with the first of them.
ssize_t send_with_file(int socket, const std::string& bytes, int file) {
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
    return ::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace

connection::~connection() {
    close_own_file(socket_);
}

void connection::receive(std::uint64_t now_ns) {
    char bytes[read_bytes];
    // recv, not recvmsg: descriptors that a peer sends along are closed by the kernel.
    const ssize_t got = ::recv(socket_, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got > 0) {
        incoming_.append(bytes, static_cast<std::size_t>(got));
        active_ns_ = now_ns;
    } else if (got == 0) {
        ended_ = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        broken_ = true;
    }
}

bool connection::next(message& request) {
    if (waiting || broken_ || must_flush()) return false;
    std::size_t consumed = 0;
    switch (decode(incoming_, request, consumed)) {
        case frame_state::complete:
            incoming_.erase(0, consumed);
            return true;
        case frame_state::malformed:
            broken_ = true;
            break;
        case frame_state::incomplete:
            break;
    }
    return false;
}

void connection::send(const message& reply, int file, std::uint64_t now_ns) {
    std::string frame = encode(reply);
    if (frame.empty()) {
        broken_ = true;
        return;
    }
    active_ns_ = now_ns;
    if (file >= 0 && outgoing_.empty()) {
        const ssize_t sent = send_with_file(socket_, frame, file);
        if (sent <= 0) {
            broken_ = true;
            return;
        }
        frame.erase(0, static_cast<std::size_t>(sent));
    }
    outgoing_ += frame;
    flush(now_ns);
}

void connection::flush(std::uint64_t now_ns) {
    while (!outgoing_.empty() && !broken_) {
        const ssize_t sent =
            ::send(socket_, outgoing_.data(), outgoing_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            outgoing_.erase(0, static_cast<std::size_t>(sent));
            active_ns_ = now_ns;
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR) {
            broken_ = true;
        }
    }
}

std::uint64_t connection::deadline_ns() const {
    if (waiting || (incoming_.empty() && outgoing_.empty())) return 0;
    return active_ns_ + std::uint64_t{message_deadline_ms} * 1'000'000;
}

}  // namespace nmircu::agent
