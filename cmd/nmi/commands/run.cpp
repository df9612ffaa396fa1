// SPDX-License-Identifier: MIT
//
// nmi run: everything that can be found wrong is found before the program starts; then the session;
// then the tables and files. Exits with the program's own status.
#include <csignal>
#include <cstdio>
#include <cstring>

#include <sys/wait.h>
#include <unistd.h>

#include <nmi/commands/command_line.hpp>
#include <nmi/commands/load_request.hpp>
#include <nmi/commands/options.hpp>
#include <nmi/commands/report.hpp>
#include <nmi/commands/session.hpp>
#include <nmi/complaint.hpp>
#include <nmi/launch/program.hpp>
#include <nmi/library_directory.hpp>
#include <nmi/output/output_file.hpp>

namespace nmircu::command {
namespace {

struct plan {
    program what;
    std::string agent;
    std::vector<module_spec> modules;
    std::vector<std::string> module_paths;
};

void check_outputs(const run_options& options, const std::string& name) {
    if (options.output.empty() || options.output.back() == '/') {
        fail(exit_usage, "-o {} names no file; try a name without .svg", options.output);
    }
    std::vector<std::string> files{options.output + ".svg", options.output + ".folded"};
    if (!options.report_file.empty()) files.push_back(options.report_file);
    if (!options.pid_file.empty()) files.push_back(options.pid_file);
    for (const std::string& file : files) {
        if (const std::string why = cannot_write(file); !why.empty()) {
            fail(exit_error, "run {}: cannot write {}: {}; try another place for it", name, file,
                 why);
        }
    }
}

// The agent will use the same path; told now, it costs the user no run.
void check_socket(const std::string& name) {
    std::string why;
    if (agent::socket_path(most_pid, why).empty()) {
        fail(exit_error, "run {}: no socket for its agent: {}; try another XDG_RUNTIME_DIR", name,
             why);
    }
}

plan make_plan(const run_options& options) {
    const std::string& name = options.words.at(0);
    plan made{find_program(options.words), {}, options.modules, {}};
    if (made.modules.empty() && !options.no_module) made.modules.push_back({"profiler", {}});
    made.agent = find_agent("run " + name);
    for (const module_spec& module : made.modules) {
        made.module_paths.push_back(
            find_module(module, fmt::format("load {} into {}", module.module, name)));
    }
    check_outputs(options, name);
    check_socket(name);
    return made;
}

// None, if they are not to be followed.
std::unique_ptr<children> family_of(const run_options& options, const plan& made) {
    if (!options.follow) return nullptr;
    std::vector<message> loads;
    for (std::size_t i = 0; i < made.modules.size(); ++i)
        loads.push_back(load_request(made.modules[i], made.module_paths[i], options.source));
    return std::make_unique<children>("run " + options.words[0], std::move(loads));
}

void load_modules(session& program, const plan& made, const source_options& source) {
    for (std::size_t i = 0; i < made.modules.size(); ++i) {
        program.load(made.modules[i], made.module_paths[i], source);
    }
}

void write_pid_file(const run_options& options, int pid) {
    if (options.pid_file.empty()) return;
    const std::string why = write_file(options.pid_file, std::to_string(pid) + "\n");
    if (!why.empty()) {
        fail(exit_error, "run {}: cannot write {}: {}; try another place for it", options.words[0],
             options.pid_file, why);
    }
}

// CLI11 knows nothing of words that are not ours.
class run_formatter : public CLI::Formatter {
  public:
    std::string make_usage(const CLI::App*, std::string) const override {
        return "Usage: nmi run [OPTIONS] [--] PROGRAM ARGUMENTS...\n";
    }
};

void settle(run_options& options, const std::vector<std::string>& modules) {
    if (options.words.empty()) fail(exit_usage, "run what? try nmi run PROGRAM ARGUMENTS...");
    for (const std::string& text : modules) {
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

}  // namespace

int run(const run_options& options) {
    const plan made = make_plan(options);
    const std::unique_ptr<children> family = family_of(options, made);
    session program("run", made.what, made.agent, family.get());
    if (!program.has_agent()) {
        say(
            fmt::format("run {}: its agent does not answer, so it runs without handlers; see what "
                        "the dynamic loader says about {}",
                        options.words[0], made.agent));
        return shell_status(program.watch().wait_status);
    }
    load_modules(program, made, options.source);
    write_pid_file(options, program.pid());
    const outcome result = program.watch();
    const int status = shell_status(result.wait_status);
    signal(SIGPIPE, SIG_IGN);  // nobody may be left to read the report; the status still counts
    const bool reported = report(options, program.seen(), result, family.get());
    return status == 0 && !reported ? exit_error : status;
}

void add_run(command_line& line) {
    CLI::App& command = *line.app.add_subcommand(
        "run", "Start PROGRAM with handlers loaded; when it has ended, say what they saw.");
    command.formatter(std::make_shared<run_formatter>());
    line.takes_program["run"] = program_begins::at_first_word;
    const auto options = std::make_shared<run_options>();
    const auto modules = std::make_shared<std::vector<std::string>>();
    command
        .add_option(
            "-m,--module", *modules,
            std::string(module_help) + ";\nmay be repeated; none: load nothing (default: profiler)")
        ->type_name("MODULE")
        ->take_all()
        ->expected(1)
        ->allow_extra_args(false);
    add_source_options(command, options->source);
    command.add_flag("--follow", options->follow, "the children of PROGRAM as well");
    command
        .add_option("-o,--output", options->output,
                    "BASENAME.svg becomes a flame graph of the samples,\nBASENAME.folded their "
                    "stacks (default profile)")
        ->type_name("BASENAME");
    command.add_option("--report", options->report_file, "receives the tables instead of stderr")
        ->type_name("FILE");
    command
        .add_option("--pid-file", options->pid_file,
                    "receives PROGRAM's process number once its handlers\nare loaded")
        ->type_name("FILE");
    command.callback([&line, options, modules] {
        options->words = line.program;
        settle(*options, *modules);
        line.chosen = [options] { return run(*options); };
    });
}

}  // namespace nmircu::command
