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
    std::string total, mean, longest;
    std::string remark;
};

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

row handler_row(const handler_status& handler, const std::vector<std::size_t>& shown) {
    row line{handler.name,
             cells_of(handler.handled_by_cpu, shown),
             grouped(handler.handled),
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

std::vector<row> rows_of(const program_status& status, const std::vector<std::size_t>& shown) {
    std::vector<row> rows;
    for (const handler_status& handler : status.handlers) {
        rows.push_back(handler_row(handler, shown));
    }
    rows.push_back(
        {"all NMIs", cells_of(status.nmis, shown), grouped(sum(status.nmis)), {}, {}, {}});
    rows.push_back({"unknown NMIs", {}, grouped(status.unknown), {}, {}, {}});
    rows.push_back({"forwarded", {}, grouped(status.forwarded), {}, {}, {}});
    rows.push_back(
        {"lost records", cells_of(status.lost, shown), grouped(sum(status.lost)), {}, {}, {}});
    rows.push_back({"overruns", {}, grouped(status.source.overruns), {}, {}, {}});
    row grace{"grace periods", {}, grouped(status.grace_periods), {}, {}, {}};
    if (status.grace_periods != 0) {
        grace.mean = duration(static_cast<double>(status.grace_median_ns));
        grace.longest = duration(static_cast<double>(status.grace_longest_ns));
        grace.remark = "median, longest";
    }
    rows.push_back(grace);
    return rows;
}

// Widths such that every cell of a column fits: name, CPUs, NMIs, mean, longest.
std::vector<std::size_t> widths_of(const std::vector<row>& rows, std::size_t cpus) {
    std::vector<std::size_t> widths(cpus + 4, 9);
    widths[0] = 0;
    for (const row& line : rows) {
        widths[0] = std::max(widths[0], columns(line.name));
        for (std::size_t i = 0; i < line.cells.size(); ++i) {
            widths[1 + i] = std::max(widths[1 + i], columns(line.cells[i]));
        }
        widths[cpus + 1] = std::max(widths[cpus + 1], columns(line.total));
        widths[cpus + 2] = std::max(widths[cpus + 2], columns(line.mean));
        widths[cpus + 3] = std::max(widths[cpus + 3], columns(line.longest));
    }
    return widths;
}

std::string format_row(const row& line, const std::vector<std::size_t>& widths) {
    const std::size_t cpus = widths.size() - 4;
    std::string text = "  " + pad_right(line.name, widths[0]);
    for (std::size_t i = 0; i < cpus; ++i) {
        text += "  " + pad_left(i < line.cells.size() ? line.cells[i] : "", widths[1 + i]);
    }
    text += "  " + pad_left(line.total, widths[cpus + 1]);
    text += "  " + pad_left(line.mean, widths[cpus + 2]);
    text += "  " + pad_left(line.longest, widths[cpus + 3]);
    if (!line.remark.empty()) text += "  " + line.remark;
    text.erase(text.find_last_not_of(' ') + 1);
    return text + "\n";
}

}  // namespace

std::string interrupt_table(const program_status& status) {
    const std::vector<std::size_t> shown = shown_columns(status);
    std::vector<row> rows = rows_of(status, shown);
    row head{"", {}, "NMIs", "mean", "longest", {}};
    for (const std::size_t column : shown) {
        head.cells.push_back(fmt::format("CPU{}", status.cpus[column]));
    }
    const std::vector<std::size_t> widths = widths_of(rows, shown.size());
    std::string text = format_row(head, widths);
    for (const row& line : rows)
        text += format_row(line, widths);
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
