// SPDX-License-Identifier: MIT
//
// Messages to and from the agent; see client.hpp.
#include <nmi/target/client.hpp>

#include <cerrno>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>

#include <fmt/format.h>
#include <nmi/complaint.hpp>

namespace nmircu::command {
namespace {

using clock = std::chrono::steady_clock;

reply take_apart(message fields) {
    reply result;
    if (fields[0] == "ok") {
        result.ok = true;
        fields.erase(fields.begin());
        result.fields = std::move(fields);
    } else if (fields[0] == "error" && fields.size() == 4) {
        result.error = one_line(fields[2]);
        result.hint = one_line(fields[3]);
    } else {
        result.error = "the agent's reply makes no sense";
        result.hint = "try an agent and a command of the same version";
    }
    return result;
}

// The first descriptor that came with `header`; any others are closed.
unique_fd descriptor_in(msghdr& header) {
    unique_fd first;
    for (cmsghdr* part = CMSG_FIRSTHDR(&header); part; part = CMSG_NXTHDR(&header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd;
            std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            unique_fd owned(fd);
            if (!first) first = std::move(owned);
        }
    }
    return first;
}

}  // namespace

bool client::send(const message& request) {
    const std::string frame = agent::encode(request);
    for (std::size_t sent = 0; !frame.empty() && sent < frame.size();) {
        const ssize_t count =
            ::send(socket_.get(), frame.data() + sent, frame.size() - sent, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) {
            close();
            return false;
        }
        sent += static_cast<std::size_t>(count);
    }
    return !frame.empty();
}

bool client::receive(milliseconds timeout) {
    if (closed()) return false;
    pollfd ready{socket_.get(), POLLIN, 0};
    if (::poll(&ready, 1, static_cast<int>(timeout.count())) <= 0) return false;

    char bytes[4096];
    alignas(cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))];
    iovec part{bytes, sizeof bytes};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    const ssize_t count = recvmsg(socket_.get(), &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) return true;
    if (count <= 0) {
        close();
        return true;
    }
    received_.append(bytes, static_cast<std::size_t>(count));
    if (unique_fd fd = descriptor_in(header)) descriptor_ = std::move(fd);
    return true;
}

std::optional<reply> client::next() {
    message fields;
    std::size_t consumed = 0;
    for (;;) {
        switch (agent::decode(received_, fields, consumed)) {
            case agent::frame_state::incomplete:
                return std::nullopt;
            case agent::frame_state::malformed:
                received_.clear();
                close();
                return std::nullopt;
            case agent::frame_state::complete:
                received_.erase(0, consumed);
                if (fields[0] != "exiting") return take_apart(std::move(fields));
                exiting_ = true;
        }
    }
}

reply client::request(const message& request, milliseconds deadline) {
    reply failed;
    if (agent::encode(request).empty()) {
        failed.error = "the request is too long";
        failed.hint = "try shorter or fewer arguments";
        return failed;
    }
    send(request);
    const auto end = clock::now() + deadline;
    for (;;) {
        if (std::optional<reply> found = next()) return *std::move(found);
        if (closed()) break;
        const auto left = std::chrono::ceil<milliseconds>(end - clock::now());
        if (left.count() <= 0) break;
        receive(left);
    }
    failed.error = closed() ? "the agent closed the connection"
                            : fmt::format("the agent did not answer within {} s",
                                          std::chrono::duration<double>(deadline).count());
    failed.hint = closed() ? "see whether the program still runs and whose it is"
                           : "see whether the program is stopped";
    return failed;
}

}  // namespace nmircu::command
