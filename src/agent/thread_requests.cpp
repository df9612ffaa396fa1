// SPDX-License-Identifier: MIT
//
// See thread_requests.hpp.
#include <agent/thread_requests.hpp>

#include <algorithm>
#include <charconv>
#include <vector>

#include <agent/refusal.hpp>

#include "platform/linux/signal_vector.hpp"
#include "platform/linux/thread_list.hpp"

namespace nmircu::agent {
namespace {

bool read_number(const std::string& text, int& out) {
    const char* const end = text.data() + text.size();
    return std::from_chars(text.data(), end, out).ptr == end && !text.empty() && out > 0;
}

// Only threads of this process that are the program's: neither the agent's own, nor another's that
// somebody made up.
bool read_threads(const message& request, std::vector<int>& out) {
    const std::vector<int> present = platform::list_threads();
    if (request.size() == 2) {
        out = present;
        return true;
    }
    for (std::size_t i = 2; i < request.size(); ++i) {
        int thread = 0;
        if (!read_number(request[i], thread)) return false;
        if (std::binary_search(present.begin(), present.end(), thread)) out.push_back(thread);
    }
    return true;
}

}  // namespace

message interrupt_threads(const message& request) {
    int number = 0;
    std::vector<int> threads;
    if (request.size() < 2 || !read_number(request[1], number) || !read_threads(request, threads)) {
        return error_reply({failure::malformed, "interrupt takes NUMBER TID...",
                            "src/agent/protocol.hpp lists the requests"});
    }
    message reply{"ok", ""};
    std::size_t raised = 0;
    for (const int thread : threads) {
        const int error = platform::request_nmi(thread, static_cast<std::uint32_t>(number));
        if (error == 0) {
            ++raised;
        } else if (reply.size() < 2000) {  // so that it fits a message
            reply.push_back(std::to_string(thread) + "\t" + std::to_string(error));
        }
    }
    reply[1] = std::to_string(raised);
    return reply;
}

}  // namespace nmircu::agent
