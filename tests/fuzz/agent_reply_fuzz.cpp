// SPDX-License-Identifier: MIT
//
// Property: whatever a program answers in its agent's place, the command understands or refuses it:
// messages survive being taken apart and put together, requests end, and of a status reply the
// tables are text without control characters and the JSON is JSON.
//
// Input: what comes over the socket. The first byte chooses whether it goes through a socket, or,
// as it is, in a status reply.
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include <nmi/output/status_json.hpp>
#include <nmi/output/table.hpp>
#include <nmi/target/client.hpp>
#include <nmi/target/status_reply.hpp>

#include "input.hpp"

namespace {

using namespace nmircu::command;
namespace agent = nmircu::agent;

bool is_plain(const std::string& text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return c == '\n' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    });
}

void show(const message& lines) {
    const program_status status = read_status(lines);
    fuzz::require(is_plain(source_text(status.source)), "the source's line is plain text");
    fuzz::require(is_plain(interrupt_table(status)), "the table is plain text");
    const std::string text = status_json(status);
    fuzz::require(is_plain(text), "the JSON is plain text");
    fuzz::require(nlohmann::json::accept(text), "the JSON is JSON");
}

void take_apart(const std::string& received) {
    message fields;
    std::size_t consumed = 0;
    if (agent::decode(received, fields, consumed) != agent::frame_state::complete) return;
    fuzz::require(consumed <= received.size(), "what was consumed was there");
    fuzz::require(agent::encode(fields) == received.substr(0, consumed), "a message is its frame");
}

void over_socket(const std::string& bytes) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return;
    client connection{unique_fd(ends[0])};
    fuzz::require(send(ends[1], bytes.data(), bytes.size(), MSG_NOSIGNAL) >= 0, "it can be sent");
    shutdown(ends[1], SHUT_WR);
    for (int i = 0; i < 64 && !connection.closed(); ++i) {
        const reply answer = connection.request({"status"}, milliseconds(1000));
        fuzz::require(is_plain(answer.error) && is_plain(answer.hint), "errors are plain text");
        fuzz::require(answer.ok || !answer.error.empty(), "a refusal says why");
        show(answer.fields);
    }
    close(ends[1]);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    const bool by_socket = in.number<std::uint8_t>() % 2 != 0;
    const std::string bytes = in.rest();
    take_apart(bytes);
    if (by_socket) {
        over_socket(bytes);
        return 0;
    }
    message lines;
    for (std::size_t at = 0; at < bytes.size();) {
        const std::size_t end = std::min(bytes.find('\n', at), bytes.size());
        lines.push_back(bytes.substr(at, end - at));
        at = end + 1;
    }
    show(lines);
    return 0;
}
