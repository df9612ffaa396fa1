// SPDX-License-Identifier: MIT
//
// Putting counts into lines; see status.hpp.
#include <agent/status.hpp>

#include <unistd.h>

#include <algorithm>

#include <nmircu/platform/port.hpp>

#include <agent/host.hpp>

namespace nmircu::agent {
namespace {

using cpu_list = std::vector<unsigned>;

constexpr std::size_t most_unreachable_listed = 256;

class line {
  public:
    explicit line(const char* key) : text_(key) {}
    line& add(const std::string& value) {
        text_ += '\t';
        text_ += one_line(value);
        return *this;
    }
    line& add(std::uint64_t value) { return add(std::to_string(value)); }
    [[nodiscard]] std::string text() const { return text_; }

  private:
    std::string text_;
};

std::string source_line(const platform::source_status& source) {
    line out("source");
    if (!source.running) return out.add("none").add(0).add(0).add(0).add(0).text();
    return out.add(platform::name_of(source.kind))
        .add(source.rate_hz)
        .add(source.threads)
        .add(source.unreachable.size())
        .add(source.overruns)
        .add(source.reason)
        .text();
}

std::string module_line(const char* key, const module_row& row, const cpu_list& cpus) {
    line out(key);
    out.add(row.name).add(row.counts.generation).add(row.path);
    out.add(row.counts.calls).add(row.counts.handled).add(row.counts.timed_calls);
    out.add(row.counts.total_ns).add(row.counts.longest_ns);
    for (const unsigned cpu : cpus)
        out.add(cpu < row.cpu_handled.size() ? row.cpu_handled[cpu] : 0);
    return out.text();
}

template <class Count>
std::string cpu_line(const char* key, const cpu_list& cpus, Count count) {
    line out(key);
    for (const unsigned cpu : cpus)
        out.add(static_cast<std::uint64_t>(count(cpu)));
    return out.text();
}

// Those that can have run something: as many as are online now, and any that did.
cpu_list shown_cpus(unsigned online) {
    cpu_list cpus;
    for (unsigned cpu = 0; cpu < platform::port::possible_cpus(); ++cpu) {
        if (cpu < online || nmi_count(static_cast<int>(cpu)) != 0) cpus.push_back(cpu);
    }
    return cpus;
}

message lines(const platform::source_status& source, const std::vector<module_row>& loaded,
              const std::vector<module_row>& retired, std::size_t first_retired,
              const cpu_list& cpus, std::size_t most_unreachable) {
    const auto nmis = [](unsigned cpu) { return nmi_count(static_cast<int>(cpu)); };
    const auto lost = [](unsigned cpu) { return rings().lost(cpu); };
    const rcu_statistics grace = rcu_read_statistics();
    message out{"ok"};
    out.push_back(line("agent").add(version_text).add(static_cast<std::uint64_t>(getpid())).text());
    out.push_back(source_line(source));
    for (std::size_t i = 0; i < std::min(source.unreachable.size(), most_unreachable); ++i) {
        const platform::unreachable_thread& thread = source.unreachable[i];
        out.push_back(line("unreachable")
                          .add(static_cast<std::uint64_t>(thread.thread_id))
                          .add(thread.reason)
                          .text());
    }
    out.push_back(cpu_line("cpus", cpus, [](unsigned cpu) { return cpu; }));
    out.push_back(cpu_line("nmi", cpus, nmis));
    for (const module_row& row : loaded)
        out.push_back(module_line("handler", row, cpus));
    for (std::size_t i = first_retired; i < retired.size(); ++i)
        out.push_back(module_line("retired", retired[i], cpus));
    out.push_back(line("unknown").add(nmi_unknown_count()).text());
    out.push_back(line("forwarded").add(nmi_forwarded_count()).text());
    out.push_back(cpu_line("lost", cpus, lost));
    out.push_back(
        line("grace").add(grace.grace_periods).add(grace.median_ns).add(grace.longest_ns).text());
    return out;
}

}  // namespace

message status_reply(const platform::source_status& source, const std::vector<module_row>& loaded,
                     const std::vector<module_row>& retired) {
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    cpu_list cpus = shown_cpus(online > 0 ? static_cast<unsigned>(online) : 1);
    for (std::size_t first = 0;; ++first) {
        message out = lines(source, loaded, retired, first, cpus, most_unreachable_listed);
        if (!encode(out).empty()) return out;
        if (first < retired.size()) continue;
        cpus = shown_cpus(0);
        out = lines(source, loaded, retired, retired.size(), cpus, 0);
        if (!encode(out).empty()) return out;
        return error_reply(
            {failure::internal, "the status is longer than a message", "unload some"});
    }
}

}  // namespace nmircu::agent
