// SPDX-License-Identifier: MIT
//
// A dump for scripts; see dump.hpp.
#include <nlohmann/json.hpp>

#include <nmi/backtrace/dump.hpp>

namespace nmircu::command {
namespace {

using json = nlohmann::ordered_json;

json thread_json(const dumped_thread& thread) {
    json frames = json::array();
    for (const dumped_frame& frame : thread.frames) {
        frames.push_back({{"address", frame.address},
                          {"function", frame.name.function},
                          {"object", frame.name.object}});
    }
    return {
        {"thread_id", thread.state.thread_id},
        {"name", thread.state.name},
        {"state", std::string(1, thread.state.state)},
        {"system_call", thread.state.system_call},
        {"wait_channel", thread.state.wait_channel},
        {"answered", thread.answered},
        {"reason", thread.reason},
        {"held_ns", thread.held_ns},
        {"frames", frames},
    };
}

}  // namespace

std::string dump_json(const process_dump& dump) {
    json threads = json::array();
    for (const dumped_thread& thread : dump.threads)
        threads.push_back(thread_json(thread));
    const json document{
        {"pid", dump.pid},
        {"name", dump.name},
        {"attached_for_this", dump.was_attached},
        {"malformed_answers", dump.malformed},
        {"threads", threads},
    };
    // Names are bytes; those that are no UTF-8 are replaced, not a reason to fail.
    return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace nmircu::command
