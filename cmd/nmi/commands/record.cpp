// SPDX-License-Identifier: MIT
//
// nmi record: a profile of a running program, or of one that is started for it. Whatever can be
// found wrong is found before the program is touched; however the recording ends, what was seen is
// written, and the program runs on.
#include <csignal>
#include <cstdio>

#include <fmt/ranges.h>
#include <nmi/commands/command_line.hpp>
#include <nmi/commands/load_request.hpp>
#include <nmi/commands/recording.hpp>
#include <nmi/complaint.hpp>
#include <nmi/file_text.hpp>
#include <nmi/launch/program.hpp>
#include <nmi/library_directory.hpp>
#include <nmi/output/profile_files.hpp>
#include <nmi/target/connect.hpp>

namespace nmircu::command {
namespace {

constexpr std::size_t table_rows = 20;
constexpr std::uint32_t default_stack_bytes = 8192;
constexpr std::uint32_t least_stack_bytes = 512;
constexpr std::uint32_t most_stack_bytes = 32000;

const char* name_of(sampled_time mode) {
    switch (mode) {
        case sampled_time::cpu:
            return "cpu";
        case sampled_time::wall:
            return "wall";
        case sampled_time::off_cpu:
            break;
    }
    return "offcpu";
}

const char* pprof_name_of(sampled_time mode) {
    return mode == sampled_time::off_cpu ? "off-cpu" : name_of(mode);
}

module_spec profiler_for(const record_options& options) {
    module_spec spec{"profiler", {}};
    if (options.mode != sampled_time::cpu) {
        spec.arguments.push_back(fmt::format("mode={}", name_of(options.mode)));
    }
    if (options.stack_bytes)
        spec.arguments.push_back(fmt::format("stack={}", *options.stack_bytes));
    if (options.idle) spec.arguments.emplace_back("idle=1");
    return spec;
}

source_options source_for(const record_options& options) {
    source_options source = options.source;
    if (options.mode != sampled_time::cpu) source.kind = "wall";
    return source;
}

std::string command_of_process(int pid) {
    std::string words = text_of_file(fmt::format("/proc/{}/cmdline", pid));
    while (!words.empty() && words.back() == '\0')
        words.pop_back();
    if (words.empty()) words = fmt::format("process {}", pid);
    return one_line(words);
}

// False if a file could not be written.
bool write_profile(const record_options& options, session& program, const outcome& result,
                   children* family, const std::string& command) {
    symbolizer names(program.seen().map());
    profile found =
        make_profile(program.seen(), names,
                     facts_of(program.seen(), result, command, pprof_name_of(options.mode)));
    if (family) family->add_to(found, pprof_name_of(options.mode));
    const bool written = write_profile_files(
        found, options.files, options.threads ? threads_apart::yes : threads_apart::no, command);
    std::string text = profile_table(found, command, table_rows, terminal_width());
    if (result.replaced)
        text += "note: the program replaced itself (exec); the profile ends there\n";
    if (written) text += fmt::format("written: {}\n", fmt::join(options.files, " "));
    std::fwrite(text.data(), 1, text.size(), stderr);
    return written;
}

// None, if they are not to be followed.
std::unique_ptr<children> family_of(const record_options& options, const std::string& attempt,
                                    const std::string& module_path, const source_options& source) {
    if (!options.follow) return nullptr;
    message request = load_request(profiler_for(options), module_path, source);
    request[0] = "borrow";
    auto made = std::make_unique<children>(attempt, std::vector<message>{request});
    if (options.stack_bytes) made->unwind_stacks();
    return made;
}

int record_process(const record_options& options, const std::string& module_path) {
    const std::string attempt = fmt::format("record {}", options.pid);
    connected found = connect_for_recording(options.pid, options.filters, attempt);
    const leave_on_failure guard(options.pid, found.origin, attempt);
    const std::string command = command_of_process(options.pid);
    source_options source = source_for(options);
    if (options.mode == sampled_time::cpu) {
        source = shared_source(source, found.connection, attempt);
    }
    bool written = false;
    {
        session program("record", options.pid, std::move(found.connection));
        const std::string remark = program.borrow(profiler_for(options), module_path, source);
        if (!remark.empty()) say(remark);
        if (options.stack_bytes) program.unwind_stacks();
        const std::unique_ptr<children> family = family_of(options, attempt, module_path, source);
        if (family) program.follow(*family);
        if (options.seconds) program.leave_after(*options.seconds);
        const outcome result = program.watch();
        signal(SIGPIPE, SIG_IGN);  // nobody may be left to read the table; the files still count
        leave_program(program.agent(), options.pid, found.origin, attempt);
        written = write_profile(options, program, result, family.get(), command);
    }
    return written ? exit_ok : exit_error;
}

int record_program(const record_options& options, const std::string& module_path) {
    const program what = find_program(options.words);
    const std::unique_ptr<children> family =
        family_of(options, "record " + options.words[0], module_path, source_for(options));
    session program("record", what, find_agent("record " + options.words[0]), family.get());
    if (!program.has_agent()) {
        say(
            fmt::format("record {}: its agent does not answer, so it runs without; nothing is "
                        "recorded; see what the dynamic loader says",
                        options.words[0]));
        return shell_status(program.watch().wait_status);
    }
    program.borrow(profiler_for(options), module_path, source_for(options));
    if (options.stack_bytes) program.unwind_stacks();
    if (options.seconds) program.leave_after(*options.seconds);
    const outcome result = program.watch();
    signal(SIGPIPE, SIG_IGN);
    if (!result.ended) {
        leave_program(program.agent(), program.pid(), agent_origin::is_ours,
                      "record " + options.words[0]);
    }
    program.agent().close();
    const bool written = write_profile(options, program, result, family.get(),
                                       fmt::format("{}", fmt::join(options.words, " ")));
    const int status = shell_status(result.ended ? result.wait_status : program.wait_for_end());
    return status == 0 && !written ? exit_error : status;
}

// What of the options does not go together.
void check_combination(const record_options& options, const command_line& line) {
    const bool has_program = line.has_dashes || !line.program.empty();
    if (options.pid == 0 && line.program.empty()) {
        fail(exit_usage, "record what? try nmi record PID, or nmi record -- PROGRAM ARGUMENTS...");
    }
    if (options.pid != 0 && has_program) {
        fail(exit_usage, "PID {} and PROGRAM {} do not go together; try one of them", options.pid,
             line.program.empty() ? "--" : line.program[0]);
    }
    if (has_program && options.filters == seccomp_filters::trust) {
        fail(exit_usage,
             "--seccomp is about attaching to a PID, and PROGRAM is started by us; try without it");
    }
    if (options.mode != sampled_time::cpu && options.source.kind) {
        fail(exit_usage,
             "--source is for --mode cpu, and --mode {} has a source of its own; try "
             "without --source",
             name_of(options.mode));
    }
    if (options.mode == sampled_time::cpu && options.idle) {
        fail(exit_usage,
             "--idle is for --mode wall and --mode offcpu, since idle threads use no "
             "CPU time; try with --mode wall");
    }
}

std::uint32_t bytes_of(const std::string& text) {
    std::uint32_t bytes = 0;
    for (const char c : text) {
        if (c < '0' || c > '9' || bytes > most_stack_bytes) return 0;
        bytes = bytes * 10 + static_cast<std::uint32_t>(c - '0');
    }
    return bytes;
}

std::optional<std::uint32_t> stack_bytes_of(const std::string& text) {
    if (text == "fp") return std::nullopt;
    if (text == "dwarf") return default_stack_bytes;
    const std::string prefix = "dwarf,";
    const std::uint32_t bytes = text.starts_with(prefix) ? bytes_of(text.substr(prefix.size())) : 0;
    if (bytes < least_stack_bytes || bytes > most_stack_bytes) {
        fail(exit_usage,
             "--call-graph '{}' is neither fp nor dwarf nor dwarf,BYTES with {} to {} bytes; try "
             "--call-graph dwarf",
             text, least_stack_bytes, most_stack_bytes);
    }
    return bytes;
}

class record_formatter : public CLI::Formatter {
  public:
    std::string make_usage(const CLI::App*, std::string) const override {
        return "Usage: nmi record [OPTIONS] PID\n"
               "       nmi record [OPTIONS] -- PROGRAM ARGUMENTS...\n";
    }
};

}  // namespace

int record(const record_options& options) {
    const std::string name = options.pid != 0 ? std::to_string(options.pid) : options.words.at(0);
    const std::string attempt = "record " + name;
    check_profile_files(options.files, attempt);
    const std::string module_path = find_module(profiler_for(options), attempt);
    return options.pid != 0 ? record_process(options, module_path)
                            : record_program(options, module_path);
}

void add_record(command_line& line) {
    CLI::App& command = *line.app.add_subcommand(
        "record", "Profile a running program, or one that is started for it.");
    command.formatter(std::make_shared<record_formatter>());
    line.takes_program["record"] = program_begins::behind_dashes;
    const auto options = std::make_shared<record_options>();
    const auto mode = std::make_shared<std::string>("cpu");
    const auto call_graph = std::make_shared<std::string>("fp");
    command.add_option("PID", options->pid, "the program")
        ->type_name("")
        ->check(CLI::Range(1, most_pid).description(""));
    command
        .add_option("--mode", *mode,
                    "what a sample stands for: cpu (default), wall, or\noffcpu: time in which a "
                    "thread was blocked")
        ->type_name("MODE")
        ->check(CLI::IsMember({"cpu", "wall", "offcpu"}).description(""));
    add_source_options(command, options->source);
    command
        .add_option("-d,--duration", options->seconds,
                    "how long (default: until Ctrl-C, SIGTERM or its end)")
        ->type_name("SECONDS")
        ->check(CLI::Range(0.01, 1e9).description(""));
    command
        .add_option("--call-graph", *call_graph,
                    "how stacks are walked: fp (default), along frame\npointers; dwarf[,BYTES], by "
                    "unwinding tables,\nof a copy of each stack's inner end")
        ->type_name("HOW");
    command.add_flag("--follow", options->follow,
                     "its children as well; of a running program,\nthose that it forks");
    command.add_flag("--idle", options->idle, "threads that have not run for a second, too");
    add_seccomp(command, options->filters);
    add_output_files(command, options->files, options->threads, ";\ndefault profile.pb.gz");
    command.callback([&line, options, mode, call_graph] {
        options->mode = *mode == "wall"     ? sampled_time::wall
                        : *mode == "offcpu" ? sampled_time::off_cpu
                                            : sampled_time::cpu;
        options->stack_bytes = stack_bytes_of(*call_graph);
        check_combination(*options, line);
        options->words = line.program;
        if (options->files.empty()) options->files = {"profile.pb.gz"};
        line.chosen = [options] { return record(*options); };
    });
}

}  // namespace nmircu::command
