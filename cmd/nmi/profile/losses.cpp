// SPDX-License-Identifier: MIT
//
// Losses in words; see losses.hpp.
#include <nmi/profile/losses.hpp>

#include <utility>

#include <fmt/format.h>
#include <nmi/complaint.hpp>

namespace nmircu::command {
namespace {

constexpr std::string_view command_prefix = "command: ";
constexpr std::size_t most_shown_comments = 16;  // of somebody else's file

}  // namespace

std::vector<std::string> loss_comments(const losses& of) {
    const std::pair<const char*, std::uint64_t> counts[] = {
        {"lost records", of.lost_records},
        {"overruns", of.overruns},
        {"unreachable threads", of.unreachable_threads},
        {"stacks cut at the limit", of.truncated},
        {"stacks unwound badly", of.unwound_badly},
        {"malformed records", of.malformed},
        {"repeats of lost samples", of.orphaned},
        {"rings given up", of.corrupt_rings},
    };
    std::vector<std::string> lines;
    for (const auto& [what, count] : counts)
        lines.push_back(fmt::format("{}: {}", what, count));
    return lines;
}

std::string comment_line(const profile& of) {
    std::string line;
    std::size_t shown = 0;
    for (const std::string& comment : of.comments) {
        if (comment.starts_with(command_prefix) || ++shown > most_shown_comments) continue;
        line += (line.empty() ? "" : " · ") + one_line(comment);
    }
    return line;
}

std::string command_comment(const std::string& command) {
    return std::string(command_prefix) + one_line(command);
}

std::string command_of(const profile& of, const std::string& otherwise) {
    for (const std::string& comment : of.comments) {
        if (comment.starts_with(command_prefix)) return comment.substr(command_prefix.size());
    }
    return otherwise;
}

}  // namespace nmircu::command
