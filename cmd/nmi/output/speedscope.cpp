// SPDX-License-Identifier: MIT
//
// Stacks as speedscope wants them; see speedscope.hpp. Weights are times where the profile has
// them, else counts.
#include <nmi/output/speedscope.hpp>

#include <map>

#include <nlohmann/json.hpp>
#include <nmi/complaint.hpp>
#include <nmi/profile/losses.hpp>

namespace nmircu::command {
namespace {

using json = nlohmann::ordered_json;

class frame_list {
  public:
    std::uint32_t number_of(const function_name& name) {
        const auto [at, is_new] = numbers_.try_emplace(name, frames_.size());
        if (is_new) {
            json frame{{"name", one_line(name.function)}};
            if (!name.object.empty()) frame["file"] = name.object;
            frames_.push_back(std::move(frame));
        }
        return static_cast<std::uint32_t>(at->second);
    }
    [[nodiscard]] const json& frames() const { return frames_; }

  private:
    std::map<function_name, std::size_t> numbers_;
    json frames_ = json::array();
};

struct lane {
    json stacks = json::array();
    json weights = json::array();
    std::uint64_t end = 0;
};

void add(lane& to, frame_list& frames, std::span<const function_name> stack, std::uint64_t weight) {
    json numbers = json::array();
    for (const function_name& name : stack)
        numbers.push_back(frames.number_of(name));
    to.stacks.push_back(std::move(numbers));
    to.weights.push_back(weight);
    to.end += weight;
}

// The units of speedscope that a value type may have.
std::string unit_of(const profile& of) {
    const profile_value_type& shown = of.value_types[shown_value_type(of)];
    if (shown.type == "samples" && of.period_type.unit == "nanoseconds" && of.period > 0) {
        return "nanoseconds";
    }
    for (const char* unit : {"nanoseconds", "microseconds", "milliseconds", "seconds", "bytes"}) {
        if (shown.unit == unit) return unit;
    }
    return "none";
}

}  // namespace

std::string speedscope(const profile& of, bool threads, const std::string& name) {
    const std::string unit = unit_of(of);
    const bool in_samples = of.value_types[shown_value_type(of)].type == "samples";
    const std::uint64_t scale =
        in_samples && unit == "nanoseconds" ? static_cast<std::uint64_t>(of.period) : 1;
    frame_list frames;
    std::map<std::string, lane> lanes;
    if (!threads) lanes["all threads"];
    for (const auto& [stack, samples] :
         stacks_of(of, threads ? thread_roots::name_and_id : thread_roots::none)) {
        std::span<const function_name> functions = stack;
        const std::string thread = threads ? stack.front().function : "all threads";
        if (threads) functions = functions.subspan(1);
        add(lanes[thread], frames, functions, samples * scale);
    }
    json profiles = json::array();
    for (auto& [thread, found] : lanes) {
        profiles.push_back({{"type", "sampled"},
                            {"name", one_line(thread)},
                            {"unit", unit},
                            {"startValue", 0},
                            {"endValue", found.end},
                            {"samples", std::move(found.stacks)},
                            {"weights", std::move(found.weights)}});
    }
    const json document{
        {"$schema", "https://www.speedscope.app/file-format-schema.json"},
        {"exporter", "nmi " NMI_VERSION},
        {"name", one_line(name) + " · " + comment_line(of)},
        {"activeProfileIndex", 0},
        {"shared", {{"frames", frames.frames()}}},
        {"profiles", std::move(profiles)},
    };
    return document.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace nmircu::command
