// SPDX-License-Identifier: MIT
//
//   variable   written by                     read by                        protection
//   setting    rcu_set_stall_handler          who reports                    setting.lock
//   found      who surveys                    the same                       surveying
#include "rcu/stall.hpp"

#include <algorithm>

#include "platform/text.hpp"

namespace nmircu::rcu {

namespace {

using detail::domain_state;
using line = platform::text_line<1000>;

constexpr unsigned most_readers = 16;

// How often the threads are listed again if threads that end cut the list short.
constexpr unsigned most_surveys = 4;

// How long a report waits for somebody who is setting a handler: he may be the one who is stuck.
constexpr std::uint64_t setting_waits_ns = 10'000'000;

struct handler_setting {
    platform::lock lock;
    rcu_stall_handler_t handler = nullptr;
    void* cookie = nullptr;
};
constinit handler_setting setting;

// Held during a survey: the platform answers one at a time. It takes a tenth of a second at most.
constinit platform::lock surveying;

// What a survey has found.
struct survey_state {
    std::uint32_t phase;
    std::uint32_t inside, silent;
    std::uint32_t readers, more;
    rcu_stalled_reader reader[most_readers];
};
constinit survey_state found{};

bool is_waited_for(std::uint64_t section, void*) noexcept {
    return section >= detail::one_section && detail::phase_of(section) == found.phase;
}

rcu_stalled_reader* last_silent() noexcept {
    for (unsigned i = found.readers; i != 0; --i) {
        if (found.reader[i - 1].sight == rcu_sight::silent) return &found.reader[i - 1];
    }
    return nullptr;
}

// Those known to be inside come before those of whom nothing is known.
void note(const rcu_stalled_reader& reader, void*) noexcept {
    const bool inside = reader.sight != rcu_sight::silent;
    ++(inside ? found.inside : found.silent);
    if (found.readers < most_readers) {
        found.reader[found.readers++] = reader;
        return;
    }
    ++found.more;
    if (!inside) return;
    if (rcu_stalled_reader* const place = last_silent()) *place = reader;
}

// Sections of a phase that are not left. For people: readers come and go.
std::uint64_t open_sections(const domain_state& domain, std::uint32_t phase) noexcept {
    // Relaxed: as above.
    const std::uint32_t cpus = engine.cpus.load(std::memory_order_relaxed);
    std::uint64_t exits = domain.shared.exit[phase].load(std::memory_order_relaxed);
    for (unsigned cpu = 0; cpu < cpus; ++cpu)
        exits += domain.cpu[cpu].exit[phase].load(std::memory_order_relaxed);
    std::uint64_t enters = domain.shared.enter[phase].load(std::memory_order_relaxed);
    for (unsigned cpu = 0; cpu < cpus; ++cpu)
        enters += domain.cpu[cpu].enter[phase].load(std::memory_order_relaxed);
    return enters > exits ? enters - exits : 0;
}

// Whether every thread was considered.
bool survey(std::uint32_t phase) noexcept {
    for (unsigned i = 0; i < most_surveys; ++i) {
        found.phase = phase;
        found.inside = found.silent = found.readers = found.more = 0;
        if (port::ask_every_reader({is_waited_for, note, nullptr})) return true;
    }
    return false;
}

bool is_inside(std::uint64_t section, void*) noexcept {
    return section >= detail::one_section;
}

struct reader_list {
    rcu_stalled_reader* out;
    unsigned most, count;
};

void append(const rcu_stalled_reader& reader, void* context) noexcept {
    auto* const list = static_cast<reader_list*>(context);
    if (reader.sight == rcu_sight::silent) return;
    if (list->count < list->most) list->out[list->count] = reader;
    ++list->count;
}

struct code {
    const void* address;
};
line& operator<<(line& out, code at) noexcept {
    char name[96];
    port::name_code(at.address, name, sizeof(name));
    out << at.address;
    if (name[0] != '\0') out << " (" << name << ")";
    return out;
}

line& operator<<(line& out, const rcu_stalled_handler& handler) noexcept {
    out << "handler \"" << handler.name << "\" at " << code{handler.function};
    return out;
}

struct seconds {
    std::uint64_t ns;
};
line& operator<<(line& out, seconds time) noexcept {
    const std::uint64_t tenths = time.ns / 100'000'000;
    out << tenths / 10 << "." << tenths % 10 << " s";
    return out;
}

void begin(line& out, const rcu_stall_report& report) noexcept {
    out << "nmircu: a grace period started " << seconds{report.waited_ns}
        << " ago still waits for ";
}

void show_state(line& out, const rcu_stalled_reader& reader) noexcept {
    const char state[] = {reader.state, '\0'};
    out << "thread " << reader.thread << " \"" << reader.name << "\"";
    if (reader.cpu >= 0) out << " on CPU " << static_cast<std::uint32_t>(reader.cpu);
    out << ", state " << state;
    if (reader.sleeps_in[0] != '\0') out << " in " << reader.sleeps_in;
}

void show_section(line& out, const rcu_stalled_reader& reader) noexcept {
    out << "inside a read-side critical section entered at " << code{reader.entered_at};
    // An NMI's own are no news.
    if (reader.nesting > 1 && reader.nmi_depth == 0)
        out << " (and " << reader.nesting - 1 << " within it)";
    if (reader.nmi_depth != 0 && reader.handlers == 0) out << ", in an NMI";
    for (unsigned i = 0; i < reader.handlers; ++i) {
        out << (i == 0 ? ", in " : ", which interrupted ");
        out << reader.handler[i];
    }
}

void show_reader(const rcu_stall_report& report, const rcu_stalled_reader& reader) noexcept {
    line out;
    begin(out, report);
    show_state(out, reader);
    out << ": ";
    if (reader.sight == rcu_sight::silent) {
        out << "perhaps, for " << reader.silence << " and cannot be looked at";
    } else {
        show_section(out, reader);
    }
    if (reader.interrupted_at != nullptr) out << ", now at " << code{reader.interrupted_at};
    port::report(out.c_str());
}

void show_orphans(const rcu_stall_report& report) noexcept {
    line out;
    begin(out, report);
    out << report.orphans << (report.orphans == 1 ? " section that no" : " sections that no")
        << " living thread is inside: a thread has ended inside a read-side critical section, and "
           "the grace period cannot end";
    port::report(out.c_str());
}

void show_incomplete(const rcu_stall_report& report) noexcept {
    line out;
    begin(out, report);
    out << report.sections << (report.sections == 1 ? " section" : " sections")
        << ", and not all threads could be listed to find out whose: /proc is not mounted, no "
           "descriptor is left, or threads come and go too fast";
    port::report(out.c_str());
}

void show(const rcu_stall_report& report) noexcept {
    if (report.over) {
        line out;
        out << "nmircu: the grace period reported before is over after "
            << seconds{report.waited_ns};
        port::report(out.c_str());
        return;
    }
    for (unsigned i = 0; i < report.readers; ++i)
        show_reader(report, report.reader[i]);
    if (report.more != 0) {
        line out;
        begin(out, report);
        out << "these and " << report.more << " more threads";
        port::report(out.c_str());
    }
    if (report.orphans != 0) show_orphans(report);
    if (!report.complete) show_incomplete(report);
}

void tell(const rcu_stall_report& report) noexcept {
    rcu_stall_handler_t handler = nullptr;
    void* cookie = nullptr;
    if (setting.lock.acquire_within(setting_waits_ns)) {
        handler = setting.handler;
        cookie = setting.cookie;
        setting.lock.release();
    }
    if (handler == nullptr) {
        show(report);
    } else {
        handler(report, cookie);
    }
}

}  // namespace

void stall_watch::begin() noexcept {
    if (started_ns_ != 0) return;
    started_ns_ = port::now_ns();
    limit_ns_ = engine.stall_limit_ns.load(std::memory_order_relaxed);  // a setting
    due_ns_ = limit_ns_;
}

std::uint64_t stall_watch::waited_ns() const noexcept {
    return port::now_ns() - started_ns_;
}

void stall_watch::report_locked(const domain_state& domain, std::uint32_t phase) noexcept {
    platform::lock_guard guard(surveying);
    const std::uint64_t before = open_sections(domain, phase);
    const bool complete = survey(phase);
    const std::uint64_t after = open_sections(domain, phase);
    // Sections that were open all the time; each thread, and each that is silent, accounts for one.
    const std::uint64_t sections = std::min(before, after);
    const std::uint64_t accounted = std::uint64_t{found.inside} + found.silent;
    rcu_stall_report report{};
    report.started_ns = started_ns_;
    report.waited_ns = waited_ns();
    report.complete = complete;
    report.readers = found.readers;
    report.more = found.more;
    report.sections = sections;
    report.orphans = complete && sections > accounted ? sections - accounted : 0;
    report.reader = found.reader;
    // Nothing is left to tell if the last reader has gone meanwhile.
    if (sections != 0) {
        tell(report);
        reported_ = true;
    }
    due_ns_ = waited_ns() + limit_ns_;
}

void stall_watch::report_end_locked() const noexcept {
    if (!reported_) return;
    rcu_stall_report report{};
    report.started_ns = started_ns_;
    report.waited_ns = waited_ns();
    report.over = true;
    tell(report);
}

void forget_stall_setting() noexcept {
    setting.lock.reset();
    surveying.reset();
}

}  // namespace nmircu::rcu

namespace nmircu {

unsigned rcu_list_readers(rcu_stalled_reader* out, unsigned most) noexcept {
    detail::require_no_section("rcu_list_readers", __builtin_return_address(0));
    platform::lock_guard guard(rcu::surveying);
    rcu::reader_list list{out, most, 0};
    rcu::port::ask_every_reader({rcu::is_inside, rcu::append, &list});
    return list.count;
}

void rcu_set_stall_handler(rcu_stall_handler_t handler, void* cookie) noexcept {
    // A handler may have interrupted whoever holds the lock.
    rcu::require_outside_sections(platform::this_reader(), "rcu_set_stall_handler",
                                  __builtin_return_address(0),
                                  "Leave the section or handler first");
    platform::lock_guard guard(rcu::setting.lock);
    rcu::setting.handler = handler;
    rcu::setting.cookie = cookie;
}

}  // namespace nmircu
