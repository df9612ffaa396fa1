// SPDX-License-Identifier: MIT
//
// The interrupt table; see table.hpp.
#include <nmi/output/table.hpp>

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <nmi/output/numbers.hpp>

namespace nmircu::command {
namespace {

std::uint64_t at(const counts& values, std::size_t column) {
    return column < values.size() ? values[column] : 0;
}

struct row {
    std::string name;
    std::vector<std::string> cells;  // per shown CPU, then the three below
    std::string total, rate, mean, longest;
    std::string remark;
};

std::string count_rate(std::uint64_t now, std::uint64_t then, const earlier_status& before) {
    if (before.status == nullptr || before.seconds <= 0) return {};
    const std::uint64_t more = now < then ? 0 : now - then;
    return grouped(static_cast<std::uint64_t>(static_cast<double>(more) / before.seconds + 0.5));
}

std::uint64_t handled_before(const handler_status& handler, const earlier_status& before) {
    if (before.status == nullptr) return 0;
    for (const handler_status& then : before.status->handlers) {
        if (then.name == handler.name && then.retired == handler.retired) return then.handled;
    }
    return 0;
}

// Columns of the reply on which at least one interrupt or loss was counted; the first if none.
std::vector<std::size_t> shown_columns(const program_status& status) {
    std::vector<std::size_t> shown;
    for (std::size_t i = 0; i < status.cpus.size(); ++i) {
        bool used = at(status.nmis, i) != 0 || at(status.lost, i) != 0;
        for (const handler_status& handler : status.handlers) {
            used = used || at(handler.handled_by_cpu, i) != 0;
        }
        if (used) shown.push_back(i);
    }
    if (shown.empty() && !status.cpus.empty()) shown.push_back(0);
    return shown;
}

std::vector<std::string> cells_of(const counts& values, const std::vector<std::size_t>& shown) {
    std::vector<std::string> cells;
    for (const std::size_t column : shown)
        cells.push_back(grouped(at(values, column)));
    return cells;
}

row handler_row(const handler_status& handler, const std::vector<std::size_t>& shown,
                const earlier_status& before) {
    row line{handler.name,
             cells_of(handler.handled_by_cpu, shown),
             grouped(handler.handled),
             count_rate(handler.handled, handled_before(handler, before), before),
             "-",
             "-",
             {}};
    if (handler.timed_calls != 0) {
        line.mean = duration(handler.mean_ns());
        line.longest = duration(static_cast<double>(handler.longest_ns));
    }
    if (handler.generation > 1) line.remark = fmt::format("swapped {}×", handler.generation - 1);
    if (handler.retired) line.remark += line.remark.empty() ? "unloaded" : ", unloaded";
    return line;
}

// A count of the whole program; `cells` if it is known per CPU.
row count_row(const char* name, std::vector<std::string> cells, std::uint64_t now,
              std::uint64_t then, const earlier_status& before) {
    return {name, std::move(cells), grouped(now), count_rate(now, then, before), {}, {}, {}};
}

std::vector<row> rows_of(const program_status& status, const std::vector<std::size_t>& shown,
                         const earlier_status& before) {
    const program_status none;
    const program_status& then = before.status == nullptr ? none : *before.status;
    std::vector<row> rows;
    for (const handler_status& handler : status.handlers)
        rows.push_back(handler_row(handler, shown, before));
    rows.push_back(count_row("all NMIs", cells_of(status.nmis, shown), sum(status.nmis),
                             sum(then.nmis), before));
    rows.push_back(count_row("unknown NMIs", {}, status.unknown, then.unknown, before));
    rows.push_back(count_row("forwarded", {}, status.forwarded, then.forwarded, before));
    rows.push_back(count_row("lost records", cells_of(status.lost, shown), sum(status.lost),
                             sum(then.lost), before));
    rows.push_back(count_row("overruns", {}, status.source.overruns, then.source.overruns, before));
    row grace = count_row("grace periods", {}, status.grace_periods, then.grace_periods, before);
    if (status.grace_periods != 0) {
        grace.mean = duration(static_cast<double>(status.grace_median_ns));
        grace.longest = duration(static_cast<double>(status.grace_longest_ns));
        grace.remark = "median, longest";
    }
    rows.push_back(grace);
    return rows;
}

// The cells of a line behind its name: CPUs, NMIs, per second if there is such, mean, longest.
std::vector<std::string> cells_behind_name(const row& line, std::size_t cpus, bool rates) {
    std::vector<std::string> cells = line.cells;
    cells.resize(cpus);
    cells.push_back(line.total);
    if (rates) cells.push_back(line.rate);
    cells.push_back(line.mean);
    cells.push_back(line.longest);
    return cells;
}

std::string format_rows(const std::vector<row>& rows, std::size_t cpus, bool rates) {
    std::size_t name_width = 0;
    std::vector<std::size_t> widths;
    for (const row& line : rows) {
        name_width = std::max(name_width, columns(line.name));
        const std::vector<std::string> cells = cells_behind_name(line, cpus, rates);
        widths.resize(cells.size(), 9);
        for (std::size_t i = 0; i < cells.size(); ++i)
            widths[i] = std::max(widths[i], columns(cells[i]));
    }
    std::string text;
    for (const row& line : rows) {
        text += "  " + pad_right(line.name, name_width);
        const std::vector<std::string> cells = cells_behind_name(line, cpus, rates);
        for (std::size_t i = 0; i < cells.size(); ++i)
            text += "  " + pad_left(cells[i], widths[i]);
        if (!line.remark.empty()) text += "  " + line.remark;
        text.erase(text.find_last_not_of(' ') + 1);
        text += '\n';
    }
    return text;
}

}  // namespace

std::string interrupt_table(const program_status& status, const earlier_status& before) {
    const std::vector<std::size_t> shown = shown_columns(status);
    row head{"", {}, "NMIs", "a second", "mean", "longest", {}};
    for (const std::size_t column : shown)
        head.cells.push_back(fmt::format("CPU{}", status.cpus[column]));
    std::vector<row> rows = rows_of(status, shown, before);
    rows.insert(rows.begin(), head);
    return format_rows(rows, shown.size(), before.status != nullptr);
}

std::string unreachable_table(const program_status& status) {
    if (status.unreachable.empty()) return {};
    std::size_t width = 0;
    for (const unreachable_thread& thread : status.unreachable)
        width = std::max(width, columns(thread.name));
    std::string text = "not reachable\n";
    for (const unreachable_thread& thread : status.unreachable) {
        text += fmt::format("  {:>7}  {}  {}\n", thread.tid, pad_right(thread.name, width),
                            thread.reason);
    }
    if (status.source.unreachable > status.unreachable.size()) {
        text += fmt::format("  and {} more\n",
                            grouped(status.source.unreachable - status.unreachable.size()));
    }
    return text;
}

std::string source_text(const source_line& source) {
    if (source.kind == "none") return "source: none is running";
    std::string text = fmt::format(
        "source: {} at {} Hz of CPU time per thread, {} thread{} covered", source.kind,
        grouped(source.rate_hz), grouped(source.threads), source.threads == 1 ? "" : "s");
    if (source.unreachable != 0) {
        text += fmt::format(", {} not reachable", grouped(source.unreachable));
    }
    if (!source.reason.empty()) text += fmt::format(" ({})", source.reason);
    return text;
}

}  // namespace nmircu::command
