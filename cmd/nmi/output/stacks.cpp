// SPDX-License-Identifier: MIT
//
// The call tree with names; see stacks.hpp.
#include <nmi/output/stacks.hpp>

#include <algorithm>
#include <set>
#include <span>
#include <tuple>

namespace nmircu::command {
namespace {

// The inner end of a stack, as far as each outer frame is a place that code can call from. Places
// outermost first.
std::span<const code_place> believable(std::span<const code_place> places, symbolizer& names) {
    for (std::size_t at = places.size() - 1; at-- > 0;) {
        if (!names.is_call(places[at])) return places.subspan(at + 1);
    }
    return places;
}

// As call_tree::for_each_stack, of what of each stack can be believed.
void for_each_believable(const recorder& seen, symbolizer& names, const call_tree::visitor& visit) {
    if (seen.is_unwound()) return seen.calls().for_each_stack(visit);
    seen.calls().for_each_stack(
        [&](std::uint32_t thread, std::span<const code_place> places, std::uint64_t samples) {
            visit(thread, believable(places, names), samples);
        });
}

}  // namespace

stack_counts name_stacks(const recorder& seen, symbolizer& names) {
    stack_counts stacks;
    for_each_believable(
        seen, names,
        [&](std::uint32_t thread, std::span<const code_place> places, std::uint64_t samples) {
            std::vector<function_name> stack{{seen.threads().name(thread), {}}};
            for (const code_place& place : places)
                stack.push_back(names.name(place));
            stacks[std::move(stack)] += samples;
        });
    return stacks;
}

std::vector<hot_function> hottest(const recorder& seen, symbolizer& names) {
    std::map<function_name, hot_function> functions;
    for_each_believable(
        seen, names, [&](std::uint32_t, std::span<const code_place> places, std::uint64_t samples) {
            std::set<function_name> on_stack;  // recursion counts once
            for (const code_place& place : places)
                on_stack.insert(names.name(place));
            for (const function_name& name : on_stack)
                functions[name].total += samples;
            functions[names.name(places.back())].self += samples;
        });
    std::vector<hot_function> sorted;
    for (auto& [name, found] : functions)
        sorted.push_back({name, found.self, found.total});
    std::sort(sorted.begin(), sorted.end(), [](const hot_function& a, const hot_function& b) {
        return std::tie(b.self, b.total, a.name) < std::tie(a.self, a.total, b.name);
    });
    return sorted;
}

}  // namespace nmircu::command
