// SPDX-License-Identifier: MIT
//
// argv into options, and every way a command line can be wrong into one line and exit status 2.
#include <algorithm>
#include <functional>
#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>

#include <nmi/commands/options.hpp>
#include <nmi/complaint.hpp>

namespace nmircu::command {
namespace {

constexpr const char* exit_codes =
    "Exit status: 0 done; 1 it could not be done, and one line on stderr says what was tried, what "
    "stopped it\nand what to try; 2 the command line makes no sense; 3 no agent can be put into "
    "that "
    "process, and nothing\nwas touched. `nmi run` exits with PROGRAM's own status, 128 plus the "
    "signal if a signal ended it, 127 if\nthere is no PROGRAM, 126 if it cannot be executed.";

constexpr const char* module_help =
    "MODULE[,key=value...]: a module's name, or, with a\n'/' in it, the path of its .so";

struct command_line {
    CLI::App app{
        "nmi: NMI handlers in running programs: load, swap, unload, and see what they saw."};
    run_options run;
    attach_options attach;
    detach_options detach;
    load_options load;
    swap_options swap;
    unload_options unload;
    status_options status;
    std::vector<std::string> run_modules;
    std::string load_module, swap_module;
    std::function<int()> chosen;
};

// CLI11 knows nothing of words that are not ours.
class run_formatter : public CLI::Formatter {
  public:
    std::string make_usage(const CLI::App*, std::string) const override {
        return "Usage: nmi run [OPTIONS] [--] PROGRAM ARGUMENTS...\n";
    }
};

void add_source_options(CLI::App& command, source_options& source) {
    // Validators describe themselves in the middle of the help; the texts here say it better.
    command
        .add_option("-F,--rate", source.rate_hz,
                    "interrupts per second of each thread's CPU time,\n1 to 20000 (default 1000)")
        ->type_name("RATE")
        ->check(CLI::Range(1u, most_rate_hz).description(""));
    command
        .add_option("--source", source.kind,
                    "what interrupts: perf (counter overflow), timer\n(CPU timers of the threads), "
                    "auto (default: perf,\nor timer where perf may not be used)")
        ->type_name("SOURCE")
        ->check(CLI::IsMember({"auto", "perf", "timer"}).description(""));
}

void add_pid(CLI::App& command, int& pid) {
    command.add_option("PID", pid, "the program")
        ->required()
        ->type_name("")
        ->check(CLI::Range(1, most_pid).description(""));
}

void add_run(command_line& line) {
    CLI::App& command = *line.app.add_subcommand(
        "run", "Start PROGRAM with handlers loaded; when it has ended, say what they saw.");
    command.formatter(std::make_shared<run_formatter>());
    command
        .add_option(
            "-m,--module", line.run_modules,
            std::string(module_help) + ";\nmay be repeated; none: load nothing (default: profiler)")
        ->type_name("MODULE")
        ->take_all()
        ->expected(1)
        ->allow_extra_args(false);
    add_source_options(command, line.run.source);
    command
        .add_option("-o,--output", line.run.output,
                    "BASENAME.svg becomes a flame graph of the samples,\nBASENAME.folded their "
                    "stacks (default profile)")
        ->type_name("BASENAME");
    command.add_option("--report", line.run.report_file, "receives the tables instead of stderr")
        ->type_name("FILE");
    command
        .add_option("--pid-file", line.run.pid_file,
                    "receives PROGRAM's process number once its handlers\nare loaded")
        ->type_name("FILE");
    command.callback([&line] { line.chosen = [&line] { return run(line.run); }; });
}

void add_seccomp(CLI::App& command, seccomp_filters& filters) {
    command.add_flag(
        "--seccomp", [&filters](std::int64_t) { filters = seccomp_filters::trust; },
        "attach although the program runs under a seccomp\nfilter; docs/attach.md says what it "
        "must "
        "allow");
}

void add_attach(command_line& line) {
    CLI::App& command = *line.app.add_subcommand(
        "attach", "Put an agent into a running program, so that handlers can be loaded.");
    add_pid(command, line.attach.pid);
    add_seccomp(command, line.attach.filters);
    command.callback([&line] { line.chosen = [&line] { return attach(line.attach); }; });
}

void add_detach(command_line& line) {
    CLI::App& command = *line.app.add_subcommand(
        "detach", "Unload every handler of a program and take the agent out again.");
    add_pid(command, line.detach.pid);
    command.callback([&line] { line.chosen = [&line] { return detach(line.detach); }; });
}

void add_load(command_line& line) {
    CLI::App& command = *line.app.add_subcommand(
        "load", "Load a handler into a running program; attach to it first, if it has no agent.");
    add_pid(command, line.load.pid);
    add_seccomp(command, line.load.filters);
    command.add_option("MODULE", line.load_module, module_help)->required()->type_name("");
    add_source_options(command, line.load.source);
    command.callback([&line] {
        line.load.module = parse_module_spec(line.load_module);
        line.chosen = [&line] { return load(line.load); };
    });
}

void add_swap(command_line& line) {
    CLI::App& command = *line.app.add_subcommand(
        "swap", "Replace a loaded handler: every interrupt is seen by the old one or the new one.");
    add_pid(command, line.swap.pid);
    command.add_option("NAME", line.swap.name, "the handler to replace")->required()->type_name("");
    command.add_option("MODULE", line.swap_module, module_help)->required()->type_name("");
    command.callback([&line] {
        line.swap.module = parse_module_spec(line.swap_module);
        line.chosen = [&line] { return swap(line.swap); };
    });
}

void add_unload(command_line& line) {
    CLI::App& command = *line.app.add_subcommand(
        "unload", "Take a handler out of a program; when this returns, its code is gone.");
    add_pid(command, line.unload.pid);
    command.add_option("NAME", line.unload.name, "the handler")->required()->type_name("");
    command.callback([&line] { line.chosen = [&line] { return unload(line.unload); }; });
}

void add_status(command_line& line) {
    CLI::App& command =
        *line.app.add_subcommand("status", "Show the handlers of a program and what they counted.");
    add_pid(command, line.status.pid);
    command.add_flag("--json", line.status.json, "for scripts");
    command.callback([&line] { line.chosen = [&line] { return status(line.status); }; });
}

// Whether an option of `run` that is written like this has its value in the next word.
bool takes_next_word(const CLI::App& command, const std::string& word) {
    if (word.size() > 2 && !word.starts_with("--")) return false;  // -F500
    const CLI::Option* option = command.get_option_no_throw(word);
    return option != nullptr && option->get_items_expected_max() > 0;
}

// Moves PROGRAM and its arguments out of the words of the command line: they begin at the first
// word that is no option of `run`, or behind `--`, and are none of ours to understand.
void split_off_program(command_line& line, std::vector<std::string>& words) {
    if (words.empty() || words[0] != "run") return;
    const CLI::App& command = *line.app.get_subcommand("run");
    std::size_t at = 1;
    while (at < words.size() && words[at] != "--" && words[at].size() > 1 && words[at][0] == '-') {
        at += takes_next_word(command, words[at]) ? 2 : 1;
    }
    at = std::min(at, words.size());
    const std::size_t program = at < words.size() && words[at] == "--" ? at + 1 : at;
    line.run.words.assign(words.begin() + static_cast<std::ptrdiff_t>(program), words.end());
    words.resize(at);
}

void settle_run(command_line& line) {
    run_options& options = line.run;
    if (options.words.empty()) fail(exit_usage, "run what? try nmi run PROGRAM ARGUMENTS...");
    for (const std::string& text : line.run_modules) {
        if (text == "none") {
            options.no_module = true;
        } else {
            options.modules.push_back(parse_module_spec(text));
        }
    }
    if (options.no_module && !options.modules.empty()) {
        fail(exit_usage, "-m none and another -m do not go together; try one of them");
    }
}

std::string chosen_name(const CLI::App& app) {
    const auto chosen = app.get_subcommands();
    return chosen.empty() ? "" : " " + chosen.front()->get_name();
}

bool is_command(const CLI::App& app, const std::string& word) {
    return !app.get_subcommands([&](const CLI::App* one) { return one->get_name() == word; })
                .empty();
}

int parse_and_do(command_line& line, std::vector<std::string> words) {
    if (words.empty()) fail(exit_usage, "do what? try nmi --help");
    if (!words[0].starts_with('-') && !is_command(line.app, words[0])) {
        fail(exit_usage, "there is no command {}; try nmi --help", words[0]);
    }
    split_off_program(line, words);
    try {
        std::reverse(words.begin(), words.end());  // as CLI11 wants them
        line.app.parse(std::move(words));
    } catch (const CLI::Success& wanted) {  // --help, --version
        return line.app.exit(wanted, std::cout, std::cerr);
    } catch (const CLI::ParseError& error) {
        fail(exit_usage, "{}; try nmi{} --help", one_line(error.what()), chosen_name(line.app));
    }
    if (line.app.got_subcommand("run")) settle_run(line);
    return line.chosen();
}

}  // namespace

int command_main(int argc, const char* const* argv) {
    command_line line;
    line.app.name("nmi");
    line.app.set_version_flag("--version", "nmi " NMI_VERSION);
    line.app.require_subcommand(1);
    line.app.footer(exit_codes);
    add_run(line);
    add_attach(line);
    add_detach(line);
    add_load(line);
    add_swap(line);
    add_unload(line);
    add_status(line);
    try {
        return parse_and_do(line, {argv + std::min(argc, 1), argv + argc});
    } catch (const complaint& why) {
        say(why.what());
        return why.exit_code();
    } catch (const std::exception& why) {
        say(std::string("internal error: ") + why.what() + "; please report it");
        return exit_error;
    }
}

}  // namespace nmircu::command
