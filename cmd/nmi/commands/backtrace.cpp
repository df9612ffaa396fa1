// SPDX-License-Identifier: MIT
//
// nmi backtrace: every thread's stack, in a program that runs, or hangs, on. An agent that was put
// in for this leaves again.
#include <csignal>
#include <cstdio>
#include <string>

#include <nmi/backtrace/collector.hpp>
#include <nmi/commands/command_line.hpp>
#include <nmi/commands/leave.hpp>
#include <nmi/commands/options.hpp>
#include <nmi/complaint.hpp>
#include <nmi/target/connect.hpp>

namespace nmircu::command {
namespace {

constexpr unsigned most_timeout_ms = 60000;

// While the module is in the program: what would end the command waits until it is out again.
class signals_held {
  public:
    signals_held() {
        sigset_t ours;
        sigemptyset(&ours);
        for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT})
            sigaddset(&ours, signal);
        sigprocmask(SIG_BLOCK, &ours, &before_);
    }
    signals_held(const signals_held&) = delete;
    signals_held& operator=(const signals_held&) = delete;
    ~signals_held() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

  private:
    sigset_t before_;
};

process_dump take_dump(const backtrace_options& options, const std::string& attempt) {
    const signals_held held;
    bool attached = false;
    client agent = connect_or_attach(options.pid, options.filters, attempt, &attached);
    process_dump dump;
    try {
        dump = collect(agent, options.pid, milliseconds(options.timeout_ms), attempt);
    } catch (const complaint&) {
        if (attached) agent.request({"detach"}, slow_deadline);
        throw;
    }
    dump.was_attached = attached;
    if (attached) leave(agent, options.pid, attempt);
    return dump;
}

}  // namespace

int backtrace(const backtrace_options& options) {
    const std::string attempt = fmt::format("backtrace of {}", options.pid);
    const process_dump dump = take_dump(options, attempt);
    const std::string text = options.json ? dump_json(dump) : dump_text(dump);
    std::fwrite(text.data(), 1, text.size(), stdout);
    if (std::fflush(stdout) != 0) fail(exit_error, "{}: cannot write it out; try > FILE", attempt);
    return exit_ok;
}

void add_backtrace(command_line& line) {
    CLI::App& command = *line.app.add_subcommand(
        "backtrace", "Show the stack of every thread of a program, without stopping it.");
    const auto options = std::make_shared<backtrace_options>();
    add_pid(command, options->pid);
    add_seccomp(command, options->filters);
    command
        .add_option("--timeout", options->timeout_ms,
                    "how long to wait for threads that do not answer,\n1 to 60000 (default 1000)")
        ->type_name("MS")
        ->check(CLI::Range(1u, most_timeout_ms).description(""));
    command.add_flag("--json", options->json, "for scripts");
    command.callback([&line, options] { line.chosen = [options] { return backtrace(*options); }; });
}

}  // namespace nmircu::command
