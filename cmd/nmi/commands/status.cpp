// SPDX-License-Identifier: MIT
//
// nmi status: what is loaded in a running program and what came of it, once or again and again, as
// a table or as JSON; without a PID, of every program of the user that has an agent.
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include <nmi/commands/command_line.hpp>
#include <nmi/commands/options.hpp>
#include <nmi/complaint.hpp>
#include <nmi/file_text.hpp>
#include <nmi/output/agent_list.hpp>
#include <nmi/output/status_json.hpp>
#include <nmi/output/table.hpp>
#include <nmi/target/agents.hpp>
#include <nmi/target/connect.hpp>
#include <nmi/target/status_reply.hpp>

namespace nmircu::command {
namespace {

using clock = std::chrono::steady_clock;

constexpr milliseconds list_deadline{2000};  // for all of them together
constexpr double least_seconds = 0.1, most_seconds = 86400;

std::string first_line(const std::string& path) {
    const std::string text = text_of_file(path);
    return one_line(std::string_view(text).substr(0, text.find('\n')));
}

// What the program does not say itself. Thread numbers are its own, which are ours too unless it
// lives in another PID namespace.
program_status completed(program_status status, int pid) {
    status.program = first_line(fmt::format("/proc/{}/comm", pid));
    status.time_unix_ns = static_cast<std::uint64_t>(
        std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count());
    if (status.pid != static_cast<std::uint64_t>(pid)) return status;
    for (unreachable_thread& thread : status.unreachable)
        thread.name = first_line(fmt::format("/proc/{}/task/{}/comm", pid, thread.tid));
    return status;
}

double seconds_between(clock::time_point before, clock::time_point after) {
    return std::chrono::duration<double>(after - before).count();
}

// One after the other, each looked at with the one before it.
class looks {
  public:
    explicit looks(const status_options& options) : options_(options) {}
    virtual ~looks() = default;
    // The next text to show; empty: there is nothing left to look at.
    virtual std::string next() = 0;
    // Readable when it is not worth waiting any longer; -1: never.
    [[nodiscard]] virtual int interruption() const { return -1; }

  protected:
    [[nodiscard]] json_layout layout() const {
        return options_.watch_seconds ? json_layout::line : json_layout::indented;
    }
    const status_options& options_;
};

class one_program : public looks {
  public:
    explicit one_program(const status_options& options)
        : looks(options),
          attempt_(fmt::format("status of {}", *options.pid)),
          connection_(connect_to(*options.pid, attempt_)) {}

    std::string next() override {
        const reply answer = connection_.request({"status"}, quick_deadline);
        if (!answer.ok && connection_.closed() && taken_) return {};  // it has ended
        program_status now = completed(read_status(expect_ok(answer, attempt_)), *options_.pid);
        const clock::time_point at = clock::now();
        const earlier_status before{taken_ ? &last_ : nullptr, seconds_between(at_, at)};
        std::string text = options_.json ? status_json(now, layout()) : table(now, before);
        last_ = std::move(now);
        at_ = at;
        taken_ = true;
        return text;
    }
    [[nodiscard]] int interruption() const override { return connection_.fd(); }

  private:
    [[nodiscard]] std::string table(const program_status& now, const earlier_status& before) const {
        return fmt::format("{} {}\n{}\n{}{}", *options_.pid, now.program, source_text(now.source),
                           interrupt_table(now, before), unreachable_table(now));
    }
    std::string attempt_;
    client connection_;
    program_status last_;
    clock::time_point at_;
    bool taken_ = false;
};

class every_program : public looks {
  public:
    using looks::looks;
    std::string next() override {
        std::vector<agent_socket> found = find_agents();
        for (agent_socket& one : found)
            one.connection.send({"status"});
        std::vector<program_status> now;
        std::vector<silent_agent> silent;
        const clock::time_point end = clock::now() + list_deadline;
        for (agent_socket& one : found) {
            if (const std::optional<reply> answer = wait_for(one.connection, end)) {
                now.push_back(completed(read_status(answer->fields), one.pid));
                now.back().pid = static_cast<std::uint64_t>(one.pid);
            } else {
                if (one.why.empty()) one.why = "does not answer: stopped, or busy?";
                silent.push_back({one.pid, one.path, one.why});
            }
        }
        const clock::time_point at = clock::now();
        std::string text = options_.json ? agents_json(now, silent, layout())
                                         : agent_list(now, silent, last_, seconds_between(at_, at));
        last_ = std::move(now);
        at_ = at;
        return text;
    }

  private:
    static std::optional<reply> wait_for(client& connection, clock::time_point end) {
        for (;;) {
            if (std::optional<reply> found = connection.next()) {
                if (!found->ok) return std::nullopt;
                return found;
            }
            const auto left = std::chrono::ceil<milliseconds>(end - clock::now());
            if (connection.closed() || left.count() <= 0) return std::nullopt;
            connection.receive(left);
        }
    }
    std::vector<program_status> last_;
    clock::time_point at_;
};

void write_out(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    if (std::fflush(stdout) != 0) fail(exit_error, "status: cannot write it out; try > FILE");
}

// On a terminal over the one before: from the upper left corner, each line up to its end, then
// everything below.
std::string redrawn(const std::string& text) {
    std::string screen = "\033[H";
    for (const char c : text)
        screen += c == '\n' ? std::string("\033[K\n") : std::string(1, c);
    return screen + "\033[J";
}

void wait_until(clock::time_point next, int interruption) {
    const auto left = std::chrono::ceil<milliseconds>(next - clock::now());
    pollfd ended{interruption, POLLIN, 0};
    if (left.count() > 0) poll(&ended, 1, static_cast<int>(left.count()));
}

void watch(looks& what, const status_options& options) {
    const bool redraw = !options.json && isatty(STDOUT_FILENO) != 0;
    const auto interval = std::chrono::duration_cast<clock::duration>(
        std::chrono::duration<double>(*options.watch_seconds));
    if (redraw) write_out("\033[2J");
    for (clock::time_point next = clock::now();;) {
        const std::string text = what.next();
        if (text.empty()) return;
        write_out(redraw ? redrawn(text) : options.json ? text : text + "\n");
        next = std::max(next + interval, clock::now());
        wait_until(next, what.interruption());
    }
}

}  // namespace

int status(const status_options& options) {
    std::unique_ptr<looks> what;
    if (options.pid) {
        what = std::make_unique<one_program>(options);
    } else {
        what = std::make_unique<every_program>(options);
    }
    if (options.watch_seconds) {
        watch(*what, options);
    } else {
        write_out(what->next());
    }
    return exit_ok;
}

void add_status(command_line& line) {
    CLI::App& command = *line.app.add_subcommand(
        "status", "Show the handlers of a program and what they counted; without PID, list yours.");
    const auto options = std::make_shared<status_options>();
    command.add_option("PID", options->pid, "the program")
        ->type_name("")
        ->check(CLI::Range(1, most_pid).description(""));
    command.add_flag("--json", options->json, "for scripts; with --watch a line each time");
    command
        .add_flag(
            "--watch{1}", options->watch_text,
            "again and again, every second or, as\n--watch=SECONDS, that often (0.1 to 86400)")
        ->check(CLI::Range(least_seconds, most_seconds).description(""));
    command.callback([&line, options] {
        line.chosen = [options] {
            if (!options->watch_text.empty())
                options->watch_seconds = std::stod(options->watch_text);
            return status(*options);
        };
    });
}

}  // namespace nmircu::command
