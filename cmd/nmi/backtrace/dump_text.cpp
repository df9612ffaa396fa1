// SPDX-License-Identifier: MIT
//
// A dump for people; see dump.hpp.
#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <nmi/backtrace/dump.hpp>
#include <nmi/output/frame_line.hpp>
#include <nmi/output/numbers.hpp>

namespace nmircu::command {
namespace {

constexpr std::size_t most_numbers = 12;  // of threads that are alike

using thread_list = std::vector<const dumped_thread*>;

std::string count_text(std::size_t count) {
    return fmt::format("{} thread{}", grouped(count), count == 1 ? "" : "s");
}

std::string numbers_of(const thread_list& threads) {
    std::string text;
    for (std::size_t i = 0; i < threads.size() && i < most_numbers; ++i)
        text += fmt::format(" {}", threads[i]->state.thread_id);
    if (threads.size() > most_numbers) {
        text += fmt::format(" and {} more", grouped(threads.size() - most_numbers));
    }
    return text;
}

// A line per name and state: which of them are which.
std::string who_text(const thread_list& threads, bool with_reason) {
    std::map<std::string, thread_list> alike;
    for (const dumped_thread* one : threads) {
        std::string text = describe(one->state);
        if (with_reason) text += fmt::format(": {}", one->reason);
        alike[fmt::format("  {}, {}:", one->state.name, text)].push_back(one);
    }
    std::string text;
    for (const auto& [what, members] : alike)
        text += what + numbers_of(members) + "\n";
    return text;
}

std::string frames_text(const std::vector<dumped_frame>& frames) {
    std::string text;
    for (std::size_t i = 0; i < frames.size(); ++i)
        text += frame_line(i, frames[i].name);
    return text;
}

std::vector<thread_list> groups_of(const process_dump& dump) {
    std::map<std::vector<function_name>, thread_list> by_stack;
    for (const dumped_thread& one : dump.threads) {
        if (!one.answered) continue;
        std::vector<function_name> key;
        for (const dumped_frame& frame : one.frames)
            key.push_back(frame.name);
        by_stack[std::move(key)].push_back(&one);
    }
    std::vector<thread_list> groups;
    for (auto& [key, threads] : by_stack)
        groups.push_back(std::move(threads));
    std::stable_sort(groups.begin(), groups.end(), [](const thread_list& a, const thread_list& b) {
        return a.size() > b.size();
    });
    return groups;
}

std::string held_text(const process_dump& dump) {
    std::vector<std::uint64_t> held;
    for (const dumped_thread& one : dump.threads) {
        if (one.answered) held.push_back(one.held_ns);
    }
    if (held.empty()) return {};
    std::sort(held.begin(), held.end());
    return fmt::format("; each was held up for {}, at most {}",
                       duration(static_cast<double>(held[held.size() / 2])),
                       duration(static_cast<double>(held.back())));
}

}  // namespace

std::string dump_text(const process_dump& dump) {
    thread_list silent;
    for (const dumped_thread& one : dump.threads) {
        if (!one.answered) silent.push_back(&one);
    }
    std::string text = fmt::format("{} ({}): {}, {} answered{}\n", dump.name, dump.pid,
                                   count_text(dump.threads.size()),
                                   grouped(dump.threads.size() - silent.size()), held_text(dump));
    for (const thread_list& group : groups_of(dump)) {
        text += fmt::format("\n{}:\n{}{}", count_text(group.size()), who_text(group, false),
                            frames_text(group.front()->frames));
    }
    if (!silent.empty()) {
        text += fmt::format("\n{} did not answer:\n{}", count_text(silent.size()),
                            who_text(silent, true));
    }
    if (dump.malformed != 0) {
        text += fmt::format("\n{} answers made no sense\n", grouped(dump.malformed));
    }
    return text;
}

}  // namespace nmircu::command
