// SPDX-License-Identifier: MIT
//
// nmi watch: follows the alarms of a watchdog that was loaded into a program, with names, and runs
// a command on them if asked to. Ends with the program, or when the watchdog is unloaded.
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>

#include <nmi/commands/command_line.hpp>
#include <nmi/commands/options.hpp>
#include <nmi/complaint.hpp>
#include <nmi/target/connect.hpp>
#include <nmi/watch/alarm_command.hpp>
#include <nmi/watch/alarm_text.hpp>
#include <nmi/watch/alarms.hpp>

namespace nmircu::command {
namespace {

constexpr milliseconds look_interval{20};
constexpr milliseconds ask_interval{500};

class watcher {
  public:
    watcher(const watch_options& options, const std::string& attempt)
        : options_(options),
          attempt_(attempt),
          agent_(connect_to(options.pid, attempt)),
          teller_(options.pid),
          command_(options.exec, std::chrono::seconds(options.every_s)) {}

    int run() {
        if (!reopen()) {
            fail(exit_error,
                 "{}: no watchdog is loaded there; try nmi load {} watchdog,limit_ms=1000",
                 attempt_, options_.pid);
        }
        auto next_ask = std::chrono::steady_clock::now() + ask_interval;
        for (;;) {
            for (const stall_alarm& alarm : memory_->take()) {
                tell(alarm);
                if (options_.count != 0 && ++told_ == options_.count) return close();
            }
            if (std::chrono::steady_clock::now() >= next_ask) {
                if (!reopen()) return close();
                next_ask = std::chrono::steady_clock::now() + ask_interval;
            }
            std::this_thread::sleep_for(look_interval);
        }
    }

  private:
    // False: there is no watchdog, or no program.
    bool reopen() {
        if (!agent_.request({"memory", "watchdog"}, quick_deadline).ok) return false;
        std::string why;
        auto found = alarms::open(agent_.take_descriptor(), why);
        if (!found) {
            fail(exit_error, "{}: cannot use the agent's memory: {}; try files of one build",
                 attempt_, why);
        }
        if (!memory_ || memory_->inode() != found->inode()) {
            count_lost();
            memory_ = std::move(found);
        }
        return true;
    }

    void tell(const stall_alarm& alarm) {
        const std::string text = teller_.text(alarm);
        const std::string& shown = options_.json ? teller_.json(alarm) : text;
        std::fwrite(shown.data(), 1, shown.size(), stdout);
        if (std::fflush(stdout) != 0) {
            fail(exit_error, "{}: cannot write it out; try > FILE", attempt_);
        }
        command_.run(options_.pid, alarm, text);
    }

    void count_lost() {
        if (memory_) lost_ += memory_->lost();
    }

    int close() {
        count_lost();
        if (lost_ != 0) say(fmt::format("{} alarms came too fast to be shown", lost_));
        if (command_.left_out() != 0) {
            say(fmt::format("the command was not run for {} alarms, by --every {}",
                            command_.left_out(), options_.every_s));
        }
        return exit_ok;
    }

    const watch_options& options_;
    const std::string& attempt_;
    client agent_;
    alarm_teller teller_;
    alarm_command command_;
    std::unique_ptr<alarms> memory_;
    std::uint64_t told_ = 0, lost_ = 0;
};

}  // namespace

int watch(const watch_options& options) {
    const std::string attempt = fmt::format("watch {}", options.pid);
    return watcher(options, attempt).run();
}

void add_watch(command_line& line) {
    CLI::App& command = *line.app.add_subcommand(
        "watch", "Follow the alarms of a watchdog that was loaded into a program.");
    const auto options = std::make_shared<watch_options>();
    add_pid(command, options->pid);
    command
        .add_option(
            "--exec", options->exec,
            "runs on an alarm, by /bin/sh -c, here and not in the\nprogram; reads the alarm; "
            "has NMI_PID, NMI_THREAD,\nNMI_RULE and NMI_STALLED_MS")
        ->type_name("COMMAND");
    command
        .add_option("--every", options->every_s,
                    "runs COMMAND at most once in so many seconds\n(0 to 86400, default 10)")
        ->type_name("SECONDS")
        ->check(CLI::Range(0u, 86400u).description(""));
    command.add_option("-n,--count", options->count, "ends after so many alarms")
        ->type_name("COUNT")
        ->check(CLI::Range(1u, 1000000u).description(""));
    command.add_flag("--json", options->json, "a line of JSON per alarm, for scripts");
    command.callback([&line, options] { line.chosen = [options] { return watch(*options); }; });
}

}  // namespace nmircu::command
