// SPDX-License-Identifier: MIT
//
// Files of /proc/PID/task/TID; see thread_state.hpp.
#include <nmi/backtrace/thread_state.hpp>

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>
#include <nmi/attach/process_facts.hpp>
#include <nmi/backtrace/system_call_name.hpp>
#include <nmi/complaint.hpp>
#include <nmi/file_text.hpp>

#include "platform/linux/signal_tag.hpp"

namespace nmircu::command {
namespace {

// The agent's threads, and the core's.
constexpr std::string_view own_names[] = {"nmi-agent",   "nmi-worker",  "nmi-periodic",
                                          "nmi-sampler", "nmircu-work", "nmircu-reclaim"};

std::string first_line(const std::string& text) {
    return one_line(text.substr(0, text.find('\n')));
}

// What follows `key` in its line.
std::string value_of(const std::string& text, const std::string& key) {
    const std::size_t at = text.find("\n" + key);
    if (at == std::string::npos) return {};
    const std::size_t begin = at + 1 + key.size();
    return text.substr(begin, text.find('\n', begin) - begin);
}

// A number, what else is there are words: "running", or nothing where that may not be read.
std::string call_in(const std::string& text) {
    char* end = nullptr;
    const long number = std::strtol(text.c_str(), &end, 10);
    return end == text.c_str() || number < 0 ? "" : system_call_name(number);
}

const char* word_for(char state) {
    switch (state) {
        case 'R':
            return "running";
        case 'S':
            return "sleeping";
        case 'D':
            return "in uninterruptible sleep";
        case 'T':
            return "stopped";
        case 't':
            return "stopped by a debugger";
        case 'Z':
        case 'X':
        case '?':
            return "ended";
        default:
            return "idle";
    }
}

}  // namespace

thread_state state_of(int pid, int thread_id) {
    const auto file = [&](const char* name) {
        return text_of_file(fmt::format("/proc/{}/task/{}/{}", pid, thread_id, name));
    };
    thread_state found;
    found.thread_id = thread_id;
    found.system_call = call_in(file("syscall"));
    found.wait_channel = first_line(file("wchan"));
    if (found.wait_channel == "0") found.wait_channel.clear();
    found.name = first_line(file("comm"));
    const std::string status = file("status");
    const std::string state = value_of(status, "State:\t");
    if (!state.empty()) found.state = state[0];
    const std::uint64_t blocked = std::strtoull(value_of(status, "SigBlk:\t").c_str(), nullptr, 16);
    found.blocks_signal = (blocked >> (platform::nmi_signal - 1) & 1) != 0;
    return found;
}

std::vector<thread_state> states_of(int pid) {
    std::vector<thread_state> found;
    for (const int thread_id : threads_of(pid)) {
        thread_state one = state_of(pid, thread_id);
        const bool is_own =
            std::find(std::begin(own_names), std::end(own_names), one.name) != std::end(own_names);
        if (!is_own && one.state != '?') found.push_back(std::move(one));
    }
    return found;
}

std::string describe(const thread_state& thread) {
    std::string text = word_for(thread.state);
    if (!thread.system_call.empty()) text += " in " + thread.system_call;
    if (!thread.wait_channel.empty()) text += " (" + thread.wait_channel + ")";
    return text;
}

std::string why_silent(const thread_state& thread) {
    switch (thread.state) {
        case 'D':
            return "it is in uninterruptible sleep, and will answer when that is over";
        case 'T':
            return "it is stopped; try kill -CONT";
        case 't':
            return "it is stopped by a debugger";
        case 'Z':
        case 'X':
        case '?':
            return "it has ended";
        default:
            break;
    }
    if (thread.blocks_signal) return "it blocks the signal by which threads are asked";
    return "";
}

}  // namespace nmircu::command
