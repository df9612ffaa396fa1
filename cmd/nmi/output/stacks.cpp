// SPDX-License-Identifier: MIT
//
// Locations into names; see stacks.hpp.
#include <nmi/output/stacks.hpp>

#include <algorithm>
#include <set>
#include <tuple>

#include <fmt/format.h>

namespace nmircu::command {
namespace {

// Of all together; the rest of what somebody's file says is left out, so that sums cannot overflow.
constexpr std::int64_t most_samples = std::int64_t{1} << 62;

std::string file_name(const std::string& path) {
    return path.starts_with('[') ? path : path.substr(path.find_last_of('/') + 1);
}

// Of a location, outermost first; without any names, what it is in, or its address.
std::vector<function_name> names_of(const profile& of, const profile_location& location) {
    const std::string object =
        location.mapping ? file_name(of.mappings[*location.mapping].file) : "";
    std::vector<function_name> names;
    for (auto line = location.lines.rbegin(); line != location.lines.rend(); ++line) {
        const profile_function& function = of.functions[line->function];
        const std::string& name = function.name.empty() ? function.system_name : function.name;
        if (!name.empty()) names.push_back({name, object});
    }
    if (!names.empty()) return names;
    if (object.empty()) return {{fmt::format("{:#x}", location.address), {}}};
    return {{object.starts_with('[') ? object : fmt::format("[{}]", object), object}};
}

std::string root_of(const profile_sample& sample, thread_roots roots) {
    const std::string name = !sample.thread.empty()  ? sample.thread
                             : sample.thread_id != 0 ? fmt::format("tid {}", sample.thread_id)
                                                     : "[unknown thread]";
    if (roots == thread_roots::name || sample.thread_id == 0) return name;
    return fmt::format("{} ({})", name, sample.thread_id);
}

}  // namespace

std::uint32_t shown_value_type(const profile& of) {
    const auto samples = std::find(of.value_types.begin(), of.value_types.end(),
                                   profile_value_type{"samples", "count"});
    if (samples == of.value_types.end()) return of.default_value_type;
    return static_cast<std::uint32_t>(samples - of.value_types.begin());
}

stack_counts stacks_of(const profile& of, thread_roots roots) {
    std::vector<std::vector<function_name>> names;
    for (const profile_location& location : of.locations)
        names.push_back(names_of(of, location));
    const std::uint32_t shown = shown_value_type(of);
    stack_counts stacks;
    std::int64_t room = most_samples;
    for (const profile_sample& sample : of.samples) {
        const std::int64_t value = std::min(sample.values[shown], room);
        if (value <= 0) continue;
        room -= value;
        std::vector<function_name> stack;
        if (roots != thread_roots::none) stack.push_back({root_of(sample, roots), {}});
        for (auto at = sample.locations.rbegin(); at != sample.locations.rend(); ++at)
            stack.insert(stack.end(), names[*at].begin(), names[*at].end());
        stacks[std::move(stack)] += static_cast<std::uint64_t>(value);
    }
    return stacks;
}

std::uint64_t sum(const stack_counts& stacks) {
    std::uint64_t all = 0;
    for (const auto& [stack, samples] : stacks)
        all += samples;
    return all;
}

std::vector<hot_function> hottest(const stack_counts& stacks) {
    std::map<function_name, hot_function> functions;
    for (const auto& [stack, samples] : stacks) {
        if (stack.empty()) continue;
        const std::set<function_name> on_stack(stack.begin(), stack.end());  // recursion: once
        for (const function_name& name : on_stack)
            functions[name].total += samples;
        functions[stack.back()].self += samples;
    }
    std::vector<hot_function> sorted;
    for (auto& [name, found] : functions)
        sorted.push_back({name, found.self, found.total});
    std::sort(sorted.begin(), sorted.end(), [](const hot_function& a, const hot_function& b) {
        return std::tie(b.self, b.total, a.name) < std::tie(a.self, a.total, b.name);
    });
    return sorted;
}

}  // namespace nmircu::command
