// SPDX-License-Identifier: MIT
//
// Watching one program; see session.hpp.
#include <nmi/commands/session.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>

#include <poll.h>
#include <sys/wait.h>

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

session::session(const program& what, const std::string& agent)
    : name_(std::filesystem::path(what.path).filename()),
      child_(start(what, agent, signals_.before())),
      agent_(std::move(child_.channel)),
      recorder_(child_.pid) {
    greet();
    if (has_agent_) take_rings();
}

session::~session() {
    if (ended_ || !has_agent_ || let_go_) return;
    kill(child_.pid, SIGKILL);
    waitpid(child_.pid, nullptr, 0);
}

void session::greet() {
    const reply hello = agent_.request({"hello"}, hello_deadline);
    if (hello.ok) {
        has_agent_ = true;
        const std::string version = hello.fields.empty() ? "?" : one_line(hello.fields[0]);
        if (version != agent::version_text) {
            fail(exit_error,
                 "run {}: its agent speaks version {} and this command version {}; try "
                 "files of one build",
                 name_, version, agent::version_text);
        }
        return;
    }
    agent_.close();
}

void session::take_rings() {
    const std::string attempt = "run " + name_;
    expect_ok(agent_.request({"rings"}, quick_deadline), attempt);
    std::string why;
    rings_ = ring::reader::open(agent_.take_descriptor().get(), why);
    if (!rings_) fail(exit_error, "{}: {}; try files of one build", attempt, why);
    recorder_.refresh();
}

std::string session::load(const module_spec& module, const std::string& path,
                          const source_options& source) {
    const message answer =
        expect_ok(agent_.request(load_request(module, path, source), slow_deadline),
                  fmt::format("load {} into {}", module.module, name_));
    return answer.size() > 1 ? one_line(answer[1]) : "";
}

void session::let_go() {
    started_ = clock::now();
    if (!has_agent_) return;
    // However soon it ends, there is a first status.
    const reply first = agent_.request({"status"}, quick_deadline);
    if (first.ok) take_status(first.fields);
    recorder_.refresh();
    let_go_ = true;
    // A short program may have ended before it replied. One that does not want to start is let go
    // by the end of the connection.
    if (!agent_.request({"start"}, quick_deadline).ok) agent_.close();
}

outcome session::watch() {
    let_go();
    reap();
    while (!ended_) {
        wait_for_something();
        handle_signals();
        agent_.receive(milliseconds(0));
        handle_replies();
        notice_lost_agent();
        if (agent_.exiting() && !result_.said_goodbye) say_goodbye();
        tick();
    }
    close_books();
    return result_;
}

void session::reap() {
    int status = 0;
    if (waitpid(child_.pid, &status, WNOHANG) != child_.pid) return;
    ended_ = true;
    result_.wait_status = status;
}

void session::wait_for_something() {
    const auto next = std::min({next_poll_, next_status_, next_refresh_});
    const auto left = std::chrono::ceil<milliseconds>(next - clock::now()).count();
    pollfd ready[] = {{signals_.fd(), POLLIN, 0}, {agent_.fd(), POLLIN, 0}};
    ::poll(ready, 2, static_cast<int>(std::clamp<long>(left, 0, 1000)));
}

// The program gets what was meant for it; we stay until it has ended, to tell what it did.
void session::handle_signals() {
    while (const auto received = signals_.next()) {
        if (received->signal == SIGCHLD) {
            reap();
        } else if (!received->from_terminal) {
            kill(child_.pid, received->signal);
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
    if (!agent_.closed() || agent_lost_ || !has_agent_) return;
    agent_lost_ = true;
    read_rings();
    if (result_.said_goodbye) return;
    // Its end or its exec is under way; which of the two shows in a moment.
    for (const auto end = clock::now() + lost_agent_deadline; !ended_ && clock::now() < end;) {
        result_.replaced = runs_another_program(child_.pid);
        if (result_.replaced) break;
        pollfd ended{signals_.fd(), POLLIN, 0};
        ::poll(&ended, 1, 1);
        handle_signals();
    }
    if (result_.replaced) recorder_.freeze();
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

void session::show_progress() {
    if (!progress_.wanted()) return;
    const double seconds = std::chrono::duration<double>(clock::now() - started_).count();
    progress_.show(fmt::format("{}  {:.1f} s  {} NMIs  {} samples  {} threads  {} lost", name_,
                               seconds, grouped(sum(result_.status.nmis)),
                               grouped(recorder_.calls().samples()),
                               grouped(result_.source.threads), grouped(sum(result_.status.lost))));
}

void session::close_books() {
    progress_.clear();
    result_.seconds = std::chrono::duration<double>(clock::now() - started_).count();
    // A source that was stopped is still the one that did it all.
    program_status& status = result_.status;
    if (status.source.kind == "none") status.source = result_.source;
    if (!rings_) return;

    rings_->drain_after_death([this](const ring::record& found) { recorder_.take(found); });
    recorder_.finish();
    result_.unfinished = rings_->unfinished();
    result_.corrupt_rings = rings_->corrupt_rings();
    // The rings outlive the program, so these counts are final whatever it died of.
    status.lost.assign(status.cpus.size(), 0);
    for (std::size_t i = 0; i < status.cpus.size(); ++i) {
        const auto cpu = static_cast<unsigned>(status.cpus[i]);
        if (cpu < rings_->rings()) status.lost[i] = rings_->lost(cpu);
    }
}

}  // namespace nmircu::command
