// SPDX-License-Identifier: MIT
//
// The list of agents; see agent_list.hpp.
#include <nmi/output/agent_list.hpp>

#include <algorithm>

#include <fmt/format.h>
#include <nmi/output/numbers.hpp>

namespace nmircu::command {
namespace {

constexpr std::size_t most_silent = 8;

using cells = std::vector<std::string>;

std::string handler_names(const program_status& status) {
    std::string names;
    for (const handler_status& handler : status.handlers) {
        if (!handler.retired) names += (names.empty() ? "" : ", ") + handler.name;
    }
    return names.empty() ? "none" : names;
}

std::string source_of(const program_status& status) {
    if (status.source.kind == "none") return "-";
    return fmt::format("{} {} Hz", status.source.kind, grouped(status.source.rate_hz));
}

std::string rate_of(const program_status& status, const std::vector<program_status>& before,
                    double seconds) {
    const auto then = std::find_if(before.begin(), before.end(), [&](const program_status& one) {
        return one.pid == status.pid;
    });
    if (then == before.end() || seconds <= 0) return "-";
    const std::uint64_t now = sum(status.nmis), past = sum(then->nmis);
    const std::uint64_t more = now < past ? 0 : now - past;
    return grouped(static_cast<std::uint64_t>(static_cast<double>(more) / seconds + 0.5));
}

cells row_of(const program_status& status, const std::vector<program_status>& before,
             double seconds) {
    return {std::to_string(status.pid),     source_of(status),
            grouped(status.source.threads), grouped(status.source.unreachable),
            grouped(sum(status.nmis)),      rate_of(status, before, seconds),
            grouped(sum(status.lost)),      status.program + ": " + handler_names(status)};
}

}  // namespace

std::string agent_list(const std::vector<program_status>& agents,
                       const std::vector<silent_agent>& silent,
                       const std::vector<program_status>& before, double seconds) {
    std::vector<cells> rows{
        {"PID", "source", "threads", "unreached", "NMIs", "a second", "lost", "program: handlers"}};
    for (const program_status& status : agents)
        rows.push_back(row_of(status, before, seconds));
    std::vector<std::size_t> widths(rows[0].size());
    for (const cells& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], columns(row[i]));
    }
    std::string text;
    for (const cells& row : rows) {
        for (std::size_t i = 0; i + 1 < row.size(); ++i)
            text += pad_left(row[i], widths[i]) + "  ";
        text += row.back() + "\n";
    }
    if (agents.empty()) text = silent.empty() ? "no agent of yours is anywhere\n" : "";
    std::size_t told = 0;
    for (const silent_agent& one : silent) {
        if (told++ == most_silent) break;
        text += fmt::format("{}  {} ({})\n", pad_left(std::to_string(one.pid), widths[0]), one.why,
                            one.socket);
    }
    if (silent.size() > most_silent) {
        text += fmt::format("and {} more that do not answer; --json lists them\n",
                            silent.size() - most_silent);
    }
    return text;
}

}  // namespace nmircu::command
