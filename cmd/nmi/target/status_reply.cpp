// SPDX-License-Identifier: MIT
//
// Reading a status reply; see status_reply.hpp.
#include <nmi/target/status_reply.hpp>

#include <charconv>
#include <numeric>
#include <string_view>

#include <nmi/complaint.hpp>

namespace nmircu::command {
namespace {

// The tab-separated values of a line, handed out one by one; beyond the end: empty and zero.
class line_reader {
  public:
    explicit line_reader(std::string_view line) : rest_(line) {}

    std::string text() {
        const std::string_view field = next();
        return one_line(field);
    }
    std::uint64_t number() {
        const std::string_view field = next();
        std::uint64_t value = 0;
        std::from_chars(field.data(), field.data() + field.size(), value);
        return value;
    }
    counts numbers() {
        counts values;
        while (!done_)
            values.push_back(number());
        return values;
    }

  private:
    std::string_view next() {
        const std::size_t tab = rest_.find('\t');
        const std::string_view field = rest_.substr(0, tab);
        done_ = tab == std::string_view::npos;
        rest_ = done_ ? std::string_view() : rest_.substr(tab + 1);
        return field;
    }
    std::string_view rest_;
    bool done_ = false;
};

handler_status read_handler(line_reader& line, bool retired) {
    handler_status row;
    row.name = line.text();
    row.generation = line.number();
    row.path = line.text();
    row.calls = line.number();
    row.handled = line.number();
    row.timed_calls = line.number();
    row.total_ns = line.number();
    row.longest_ns = line.number();
    row.handled_by_cpu = line.numbers();
    row.retired = retired;
    return row;
}

source_line read_source(line_reader& line) {
    source_line source;
    source.kind = line.text();
    source.rate_hz = line.number();
    source.threads = line.number();
    source.unreachable = line.number();
    source.overruns = line.number();
    source.reason = line.text();
    return source;
}

void read_line(program_status& status, line_reader line) {
    const std::string what = line.text();
    if (what == "agent") {
        status.version = line.text();
        status.pid = line.number();
    } else if (what == "source") {
        status.source = read_source(line);
    } else if (what == "unreachable") {
        status.unreachable.push_back({line.number(), line.text(), {}});
    } else if (what == "cpus") {
        status.cpus = line.numbers();
    } else if (what == "nmi") {
        status.nmis = line.numbers();
    } else if (what == "handler" || what == "retired") {
        status.handlers.push_back(read_handler(line, what == "retired"));
    } else if (what == "unknown") {
        status.unknown = line.number();
    } else if (what == "forwarded") {
        status.forwarded = line.number();
    } else if (what == "lost") {
        status.lost = line.numbers();
    } else if (what == "grace") {
        status.grace_periods = line.number();
        status.grace_median_ns = line.number();
        status.grace_longest_ns = line.number();
    }
}

}  // namespace

double handler_status::mean_ns() const {
    return timed_calls == 0 ? 0 : static_cast<double>(total_ns) / static_cast<double>(timed_calls);
}

program_status read_status(const agent::message& lines) {
    program_status status;
    for (const std::string& line : lines)
        read_line(status, line_reader(line));
    return status;
}

std::uint64_t sum(const counts& values) {
    return std::accumulate(values.begin(), values.end(), std::uint64_t{0});
}

}  // namespace nmircu::command
