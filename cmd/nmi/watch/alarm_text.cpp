// SPDX-License-Identifier: MIT
//
// See alarm_text.hpp.
#include <nmi/watch/alarm_text.hpp>

#include <nlohmann/json.hpp>

#include <fmt/format.h>
#include <nmi/output/frame_line.hpp>
#include <nmi/output/numbers.hpp>
#include <nmi/symbols/symbolizer.hpp>

namespace nmircu::command {
namespace {

std::string headline(const stall_alarm& alarm) {
    const std::string time = duration(static_cast<double>(alarm.stalled_ns));
    switch (alarm.rule) {
        case stall_rule::heartbeat:
            return fmt::format("no heartbeat{} for {}",
                               alarm.heartbeat.empty() ? "" : " of " + alarm.heartbeat, time);
        case stall_rule::busy:
            return fmt::format("has run without waiting for anything for {}", time);
        case stall_rule::mask:
            return fmt::format("has had interrupts masked for {}", time);
    }
    return {};
}

}  // namespace

const char* name_of(stall_rule rule) {
    switch (rule) {
        case stall_rule::heartbeat:
            return "heartbeat";
        case stall_rule::busy:
            return "busy";
        case stall_rule::mask:
            return "mask";
    }
    return "";
}

// A symbolizer may not outlive a change of the map; alarms are rare.
std::vector<function_name> alarm_teller::frames_of(const stall_alarm& alarm) {
    map_.refresh();
    symbolizer names(map_);
    std::vector<function_name> frames;
    for (const std::uint64_t address : alarm.addresses) {
        const bool is_inner = frames.empty();
        const code_place place = map_.find(is_inner ? address : address - 1);
        if (!is_inner && !names.is_call(place)) break;
        frames.push_back(names.name(place));
    }
    return frames;
}

std::string alarm_teller::text(const stall_alarm& alarm) {
    std::string text =
        fmt::format("thread {} ({}): {}\n", alarm.thread_id, alarm.thread, headline(alarm));
    if (alarm.addresses.empty()) text += "  it did not answer\n";
    std::size_t number = 0;
    for (const function_name& frame : frames_of(alarm))
        text += frame_line(number++, frame);
    return text;
}

std::string alarm_teller::json(const stall_alarm& alarm) {
    nlohmann::ordered_json frames = nlohmann::ordered_json::array();
    for (const function_name& frame : frames_of(alarm))
        frames.push_back({{"function", frame.function}, {"object", frame.object}});
    const nlohmann::ordered_json line{
        {"number", alarm.number},         {"rule", name_of(alarm.rule)},
        {"thread_id", alarm.thread_id},   {"thread", alarm.thread},
        {"heartbeat", alarm.heartbeat},   {"time_ns", alarm.time_ns},
        {"stalled_ns", alarm.stalled_ns}, {"frames", frames},
    };
    return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace nmircu::command
