// SPDX-License-Identifier: MIT
//
// Watching one program; see session.hpp.
#include <nmi/commands/session.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nmi/commands/load_request.hpp>
#include <nmi/complaint.hpp>
#include <nmi/file_text.hpp>
#include <nmi/output/numbers.hpp>
#include <nmi/target/connect.hpp>

namespace nmircu::command {
namespace {

constexpr milliseconds hello_deadline{30000};
constexpr milliseconds status_interval{200};
constexpr milliseconds refresh_interval{1000};
constexpr milliseconds least_poll_interval{5};
constexpr milliseconds most_poll_interval{100};
// At its exit the program waits finish_deadline_ms for us; we are quicker.
constexpr milliseconds goodbye_deadline{agent::finish_deadline_ms / 4};

constexpr milliseconds lost_agent_deadline{300};

// A process that is ending has no memory any more, or still the agent in it.
bool runs_another_program(int pid) {
    const std::string maps = text_of_file(fmt::format("/proc/{}/maps", pid));
    return !maps.empty() && maps.find("/nmi-agent.so") == std::string::npos;
}

}  // namespace

session::session(const std::string& verb, const program& what, const std::string& agent,
                 children* family)
    : verb_(verb),
      name_(std::filesystem::path(what.path).filename()),
      is_child_(true),
      child_(start(what, agent, signals_.before(), family ? family->path() : "")),
      pid_(child_.pid),
      agent_(std::move(child_.channel)),
      recorder_(pid_),
      family_(family) {
    greet();
    if (has_agent_) take_rings();
}

session::session(const std::string& verb, int pid, client connection)
    : verb_(verb),
      name_(std::to_string(pid)),
      is_child_(false),
      end_(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))),
      pid_(pid),
      agent_(std::move(connection)),
      recorder_(pid),
      has_agent_(true) {
    take_rings();
    rings_->poll([](const ring::record&) {});  // somebody else's, who is gone
    lost_before_ = lost_records();
    const program_status before =
        read_status(expect_ok(agent_.request({"status"}, quick_deadline), verb_ + " " + name_));
    if (before.source.kind != "none") overruns_before_ = before.source.overruns;
}

session::~session() {
    if (!is_child_ || ended_ || !has_agent_ || let_go_) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
}

void session::greet() {
    const reply hello = agent_.request({"hello"}, hello_deadline);
    if (hello.ok) {
        has_agent_ = true;
        const std::string version = hello.fields.empty() ? "?" : one_line(hello.fields[0]);
        if (version != agent::version_text) {
            fail(exit_error,
                 "{} {}: its agent speaks version {} and this command version {}; try "
                 "files of one build",
                 verb_, name_, version, agent::version_text);
        }
        return;
    }
    agent_.close();
}

void session::take_rings() {
    const std::string attempt = verb_ + " " + name_;
    expect_ok(agent_.request({"rings"}, quick_deadline), attempt);
    std::string why;
    rings_ = ring::reader::open(agent_.take_descriptor().get(), why);
    if (!rings_) fail(exit_error, "{}: {}; try files of one build", attempt, why);
    recorder_.refresh();
}

std::string session::load_as(const char* verb, const module_spec& module, const std::string& path,
                             const source_options& source) {
    message request = load_request(module, path, source);
    request[0] = verb;
    const message answer = expect_ok(agent_.request(request, slow_deadline),
                                     fmt::format("load {} into {}", module.module, name_));
    if (request[0] == "borrow" && !answer.empty()) borrowed_ = answer[0];
    return answer.size() > 1 ? one_line(answer[1]) : "";
}

std::string session::load(const module_spec& module, const std::string& path,
                          const source_options& source) {
    return load_as("load", module, path, source);
}

std::string session::borrow(const module_spec& module, const std::string& path,
                            const source_options& source) {
    return load_as("borrow", module, path, source);
}

void session::leave_after(double seconds) {
    end_at_ = clock::now() +
              std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(seconds));
}

void session::follow(children& family) {
    expect_ok(agent_.request({"follow", family.path()}, quick_deadline),
              fmt::format("{} {} with its children", verb_, name_));
    family_ = &family;
}

void session::let_go() {
    if (is_child_ && has_agent_) agent_.send({"start"});
    let_go_ = true;
    started_ = clock::now();
    result_.begin_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                           std::chrono::system_clock::now().time_since_epoch())
                           .count();
}

outcome session::watch() {
    let_go();
    while (!ended_ && !leaving_) {
        wait_for_something();
        handle_signals();
        look_for_end();
        agent_.receive(milliseconds(0));
        handle_replies();
        if (family_) family_->serve(pid_);
        notice_lost_agent();
        if (agent_.exiting() && !result_.said_goodbye) say_goodbye();
        tick();
    }
    if (!ended_) leave();
    if (family_) family_->leave();
    close_books();
    return result_;
}

int session::wait_for_end() {
    while (!ended_) {
        pollfd ready{signals_.fd(), POLLIN, 0};
        ::poll(&ready, 1, -1);
        handle_signals();
    }
    return result_.wait_status;
}

void session::reap() {
    int status = 0;
    if (!is_child_ || waitpid(pid_, &status, WNOHANG) != pid_) return;
    ended_ = true;
    result_.wait_status = status;
}

void session::look_for_end() {
    if (is_child_ || ended_) return;
    pollfd ready{end_.get(), POLLIN, 0};
    const bool gone = end_ ? ::poll(&ready, 1, 0) > 0 : kill(pid_, 0) != 0 && errno == ESRCH;
    if (gone) ended_ = true;
}

void session::wait_for_something() {
    auto next = std::min({next_poll_, next_status_, next_refresh_});
    if (end_at_) next = std::min(next, *end_at_);
    const auto left = std::chrono::ceil<milliseconds>(next - clock::now()).count();
    pollfd ready[] = {{signals_.fd(), POLLIN, 0},
                      {agent_.fd(), POLLIN, 0},
                      {end_.get(), POLLIN, 0},
                      {family_ ? family_->fd() : -1, POLLIN, 0}};
    ::poll(ready, 4, static_cast<int>(std::clamp<long>(left, 0, 1000)));
}

// A child gets what was meant for it; we stay until it has ended, to tell what it did. Any other
// program is left.
void session::handle_signals() {
    while (const auto received = signals_.next()) {
        if (received->signal == SIGCHLD) {
            reap();
        } else if (!is_child_) {
            leaving_ = true;
        } else if (!received->from_terminal) {
            kill(pid_, received->signal);
        }
    }
}

void session::handle_replies() {
    while (const std::optional<reply> answer = agent_.next()) {
        status_asked_ = false;
        if (!answer->ok || result_.said_goodbye) continue;  // the last one answers `finish`
        take_status(answer->fields);
    }
}

void session::take_status(const message& lines) {
    if (lines.empty()) return;  // the answer to something else
    result_.status = read_status(lines);
    result_.has_status = true;
    if (result_.status.source.kind != "none") result_.source = result_.status.source;
}

void session::notice_lost_agent() {
    if (!agent_.closed() || result_.agent_lost || !has_agent_) return;
    result_.agent_lost = true;
    read_rings();
    if (result_.said_goodbye) return;
    // Its end or its exec is under way; which of the two shows in a moment.
    for (const auto end = clock::now() + lost_agent_deadline; !ended_ && clock::now() < end;) {
        result_.replaced = runs_another_program(pid_);
        if (result_.replaced) break;
        pollfd ready[] = {{signals_.fd(), POLLIN, 0}, {end_.get(), POLLIN, 0}};
        ::poll(ready, 2, 1);
        handle_signals();
        look_for_end();
    }
    if (result_.replaced) recorder_.freeze();
    if (!is_child_) leaving_ = true;  // nothing more will come
}

void session::tick() {
    const auto now = clock::now();
    if (now >= next_poll_) {
        read_rings();
        next_poll_ = now + poll_interval_;
    }
    if (now >= next_refresh_) {
        recorder_.refresh();
        next_refresh_ = now + refresh_interval;
    }
    if (now >= next_status_) {
        next_status_ = now + status_interval;
        if (!status_asked_ && !agent_.closed() && !result_.said_goodbye) {
            status_asked_ = agent_.send({"status"});
        }
        show_progress();
    }
    if (end_at_ && now >= *end_at_) leaving_ = true;
    if (on_tick_ && !on_tick_()) leaving_ = true;
}

// Often enough that no ring fills up in between.
void session::read_rings() {
    if (!rings_) return;
    recorder_.begin_round();
    rings_->poll([this](const ring::record& found) { recorder_.take(found); });
    if (rings_->fullest() > 0.2) poll_interval_ = std::max(poll_interval_ / 2, least_poll_interval);
    if (rings_->fullest() < 0.05) poll_interval_ = std::min(poll_interval_ * 2, most_poll_interval);
}

// The program stands at its exit, everything still mapped and counted, and waits for us.
void session::say_goodbye() {
    recorder_.refresh();
    read_rings();
    const auto end = clock::now() + goodbye_deadline;
    while (status_asked_ && !agent_.closed() && clock::now() < end) {
        agent_.receive(goodbye_deadline / 10);
        handle_replies();
    }
    if (!status_asked_) {
        const reply last = agent_.request({"status"}, goodbye_deadline);
        if (last.ok) take_status(last.fields);
    }
    agent_.send({"finish"});
    result_.said_goodbye = true;
}

// The program goes on: a last status, then the handler out, so that everything is committed.
void session::leave() {
    progress_.clear();
    if (agent_.closed()) return;
    recorder_.refresh();
    const auto end = clock::now() + quick_deadline;
    while (status_asked_ && !agent_.closed() && clock::now() < end) {
        agent_.receive(milliseconds(100));
        handle_replies();
    }
    if (const reply last = agent_.request({"status"}, quick_deadline); last.ok) {
        take_status(last.fields);
    }
    read_rings();  // unloading may take a moment
    if (borrowed_.empty()) return;
    const reply done = agent_.request({"unload", borrowed_}, slow_deadline);
    // The connection's end does the same, later.
    if (!done.ok && !agent_.closed()) {
        say(fmt::format("{} {}: {} stays loaded for now: {}; {}", verb_, name_, borrowed_,
                        done.error, done.hint));
    }
}

void session::show_progress() {
    if (silent_ || !progress_.wanted()) return;
    const double seconds = std::chrono::duration<double>(clock::now() - started_).count();
    progress_.show(fmt::format("{}  {:.1f} s  {} NMIs  {} samples  {} threads  {} lost", name_,
                               seconds, grouped(sum(result_.status.nmis)),
                               grouped(recorder_.calls().samples()),
                               grouped(result_.source.threads), grouped(sum(result_.status.lost))));
}

std::uint64_t session::lost_records() const {
    std::uint64_t all = 0;
    for (unsigned i = 0; rings_ && i < rings_->rings(); ++i)
        all += rings_->lost(i);
    return all - std::min(all, lost_before_);
}

void session::close_books() {
    progress_.clear();
    result_.ended = ended_;
    result_.seconds = std::chrono::duration<double>(clock::now() - started_).count();
    // A source that was stopped is still the one that did it all.
    program_status& status = result_.status;
    if (status.source.kind == "none") status.source = result_.source;
    result_.source.overruns -= std::min(result_.source.overruns, overruns_before_);
    if (!rings_) return;

    if (ended_) {
        rings_->drain_after_death([this](const ring::record& found) { recorder_.take(found); });
        result_.unfinished = rings_->unfinished();
    } else {
        read_rings();
    }
    recorder_.finish();
    result_.lost = lost_records();
    result_.corrupt_rings = rings_->corrupt_rings();
    // The rings outlive the program, so these counts are final whatever it died of.
    status.lost.assign(status.cpus.size(), 0);
    for (std::size_t i = 0; i < status.cpus.size(); ++i) {
        const auto cpu = static_cast<unsigned>(status.cpus[i]);
        if (cpu < rings_->rings()) status.lost[i] = rings_->lost(cpu);
    }
}

recording_facts facts_of(const recorder& seen, const outcome& result, const std::string& command,
                         const std::string& time) {
    losses lost;
    lost.lost_records = result.lost;
    lost.overruns = result.source.overruns;
    lost.unreachable_threads = result.source.unreachable;
    lost.truncated = seen.counts().truncated;
    lost.unwound_badly = seen.counts().unwound_badly;
    lost.malformed = seen.counts().malformed + result.unfinished;
    lost.orphaned = seen.orphaned();
    lost.corrupt_rings = result.corrupt_rings;
    return {command, time, result.source.rate_hz, result.begin_ns, result.seconds, lost};
}

}  // namespace nmircu::command
