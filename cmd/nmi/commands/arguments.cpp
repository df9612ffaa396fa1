// SPDX-License-Identifier: MIT
//
// argv into the options of a verb, and every way a command line can be wrong into one line and exit
// status 2. The verbs are in their own files; see command_line.hpp.
#include <algorithm>
#include <iostream>

#include <nmi/commands/command_line.hpp>
#include <nmi/commands/complete.hpp>
#include <nmi/complaint.hpp>

namespace nmircu::command {
namespace {

constexpr const char* exit_codes =
    "Exit status: 0 done; 1 it could not be done, and one line on stderr says what was tried, what "
    "stopped it\nand what to try; 2 the command line makes no sense; 3 no agent can be put into "
    "that "
    "process, and nothing\nwas touched. `nmi run` exits with PROGRAM's own status, 128 plus the "
    "signal if a signal ended it, 127 if\nthere is no PROGRAM, 126 if it cannot be executed.";

bool is_option(const std::string& word) {
    return word.size() > 1 && word[0] == '-';
}

// Moves PROGRAM and its arguments out of the words of the command line: they begin behind `--`, or,
// with some verbs, at the first word that is no option.
void split_off_program(command_line& line, std::vector<std::string>& words) {
    const auto verb = line.takes_program.find(words.empty() ? "" : words[0]);
    if (verb == line.takes_program.end()) return;
    const CLI::App& command = *line.app.get_subcommand(verb->first);
    const bool at_first_word = verb->second == program_begins::at_first_word;
    std::size_t at = 1;
    while (at < words.size() && words[at] != "--") {
        if (at_first_word && !is_option(words[at])) break;
        at += is_option(words[at]) && takes_next_word(command, words[at]) ? 2 : 1;
    }
    at = std::min(at, words.size());
    line.has_dashes = at < words.size() && words[at] == "--";
    const std::size_t program = line.has_dashes ? at + 1 : at;
    line.program.assign(words.begin() + static_cast<std::ptrdiff_t>(program), words.end());
    words.resize(at);
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
    return line.chosen();
}

}  // namespace

bool takes_next_word(const CLI::App& command, const std::string& word) {
    if (word.size() > 2 && !word.starts_with("--")) return false;  // -F500
    const CLI::Option* option = command.get_option_no_throw(word);
    return option != nullptr && option->get_items_expected_max() > 0;
}

// Validators describe themselves in the middle of the help; the texts here say it better.
void add_source_options(CLI::App& command, source_options& source) {
    command
        .add_option("-F,--rate", source.rate_hz,
                    "interrupts per second of each thread's CPU time,\n1 to 20000 (default 1000)")
        ->type_name("RATE")
        ->check(CLI::Range(1u, most_rate_hz).description(""));
    command
        .add_option(
            "--source", source.kind,
            "what interrupts: perf (counter overflow), timer\n(CPU timers of the threads), "
            "auto (default: timer up to the kernel's tick,\nperf above it; timer where perf "
            "cannot be used or\nis expensive)")
        ->type_name("SOURCE")
        ->check(CLI::IsMember({"auto", "perf", "timer"}).description(""));
}

void add_pid(CLI::App& command, int& pid) {
    command.add_option("PID", pid, "the program")
        ->required()
        ->type_name("")
        ->check(CLI::Range(1, most_pid).description(""));
}

void add_seccomp(CLI::App& command, seccomp_filters& filters) {
    command.add_flag(
        "--seccomp", [&filters](std::int64_t) { filters = seccomp_filters::trust; },
        "attach although the program runs under a seccomp\nfilter; docs/attach.md says what it "
        "must "
        "allow");
}

void add_output_files(CLI::App& command, std::vector<std::string>& files, bool& threads,
                      const std::string& otherwise) {
    command
        .add_option(
            "-o,--output", files,
            "a file to write; may be repeated. What it becomes its\nname says: .pb.gz or "
            ".pprof (pprof), .folded or\n.collapsed (stacks), .svg or .html (flame graph),\n"
            ".speedscope.json, .txt (table)" +
                otherwise)
        ->type_name("FILE")
        ->take_all()
        ->expected(1)
        ->allow_extra_args(false);
    command.add_flag("--threads", threads, "threads apart, each under its name and number");
}

int command_main(int argc, const char* const* argv) {
    command_line line;
    line.app.name("nmi");
    line.app.set_version_flag("--version", "nmi " NMI_VERSION);
    line.app.require_subcommand(1);
    line.app.footer(exit_codes);
    for (const auto add :
         {add_run, add_record, add_report, add_diff, add_top, add_attach, add_detach, add_load,
          add_swap, add_unload, add_status, add_backtrace, add_watch}) {
        add(line);
    }
    if (argc > 1 && std::string_view(argv[1]) == "__complete") {
        return complete(line, {argv + 2, argv + argc});
    }
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
