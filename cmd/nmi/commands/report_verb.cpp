// SPDX-License-Identifier: MIT
//
// nmi report, nmi diff: stored profiles as tables and pictures. No program is needed.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <nmi/commands/command_line.hpp>
#include <nmi/commands/stored_profile.hpp>
#include <nmi/complaint.hpp>
#include <nmi/output/flamegraph.hpp>
#include <nmi/output/output_file.hpp>
#include <nmi/output/profile_files.hpp>
#include <nmi/output/progress.hpp>
#include <nmi/output/stacks.hpp>
#include <nmi/pprof/pprof.hpp>
#include <nmi/profile/losses.hpp>
#include <nmi/unique_fd.hpp>

namespace nmircu::command {
namespace {

constexpr std::size_t table_rows = 50;
constexpr std::size_t most_file_bytes = std::size_t{128} << 20;

std::string bytes_of_file(const std::string& path, const std::string& attempt) {
    const unique_fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::string bytes;
    char piece[65536];
    ssize_t got = file ? 1 : -1;
    while (got > 0 && bytes.size() <= most_file_bytes) {
        got = read(file.get(), piece, sizeof piece);
        if (got > 0) bytes.append(piece, static_cast<std::size_t>(got));
        if (got < 0 && errno == EINTR) got = 1;
    }
    if (got < 0) {
        fail(exit_error, "{}: cannot read {}: {}; try the file that nmi record has written",
             attempt, path, std::strerror(errno));
    }
    return bytes;
}

bool is_drawing(const std::string& file) {
    return file.ends_with(".svg") || file.ends_with(".html");
}

std::string base_name(const std::string& file) {
    return file.substr(file.find_last_of('/') + 1);
}

// Shares of one thing and another mean nothing.
void check_same_kind(const profile& before, const profile& after, const std::string& attempt) {
    const profile_value_type& first = before.value_types[shown_value_type(before)];
    const profile_value_type& second = after.value_types[shown_value_type(after)];
    const bool same_time = before.period_type.type == after.period_type.type;
    if (first == second && same_time) return;
    const auto text = [](const profile& of, const profile_value_type& type) {
        return one_line(fmt::format("{} of {}", type.type,
                                    of.period_type.type.empty() ? type.unit : of.period_type.type));
    };
    fail(exit_error, "{}: one holds {}, the other {}; try two profiles of one mode", attempt,
         text(before, first), text(after, second));
}

void add_file(CLI::App& command, const char* name, std::string& file) {
    command.add_option(name, file, "a profile of nmi record, or any of pprof's")
        ->required()
        ->type_name("");
}

}  // namespace

profile read_profile(const std::string& file, const std::string& attempt) {
    std::string why;
    std::optional<profile> found = decode_pprof(bytes_of_file(file, attempt), why);
    if (!found) {
        fail(exit_error, "{}: {} is no profile: {}; try a .pb.gz file of nmi record", attempt, file,
             why);
    }
    return *std::move(found);
}

int report_file(const report_options& options) {
    const std::string attempt = "report " + options.file;
    check_profile_files(options.files, attempt);
    const profile found = read_profile(options.file, attempt);
    const std::string name = base_name(options.file);
    if (!options.files.empty()) {
        const auto apart = options.threads ? threads_apart::yes : threads_apart::no;
        return write_profile_files(found, options.files, apart, name) ? exit_ok : exit_error;
    }
    const std::string text = profile_table(found, name, table_rows, terminal_width());
    std::fwrite(text.data(), 1, text.size(), stdout);
    if (std::fflush(stdout) != 0) fail(exit_error, "{}: cannot write it out; try > FILE", attempt);
    return exit_ok;
}

int diff(const diff_options& options) {
    const std::string attempt = fmt::format("diff {} {}", options.before, options.after);
    check_profile_files(options.files, attempt);
    const profile before = read_profile(options.before, attempt);
    const profile after = read_profile(options.after, attempt);
    check_same_kind(before, after, attempt);
    const auto roots = options.threads ? thread_roots::name : thread_roots::none;
    const std::string title =
        fmt::format("{} → {}", base_name(options.before), base_name(options.after));
    const std::string svg = differential_flamegraph(
        stacks_of(before, roots), stacks_of(after, roots),
        {title,
         fmt::format("before: {} — after: {}", profile_figures(before), profile_figures(after)),
         fmt::format("before: {}\nafter: {}", comment_line(before), comment_line(after)), ""});
    bool written = true;
    for (const std::string& file : options.files) {
        const std::string why =
            write_file(file, file.ends_with(".html") ? html_page(svg, title) : svg);
        if (why.empty()) continue;
        say(fmt::format("cannot write {}: {}; try another place for it", file, why));
        written = false;
    }
    return written ? exit_ok : exit_error;
}

void add_report(command_line& line) {
    CLI::App& command =
        *line.app.add_subcommand("report", "Show a stored profile, or turn it into other files.");
    const auto options = std::make_shared<report_options>();
    add_file(command, "FILE", options->file);
    add_output_files(command, options->files, options->threads, ";\ndefault: the table, on stdout");
    command.callback([&line, options] {
        if (options->threads && options->files.empty()) {
            fail(exit_usage,
                 "--threads is for stacks, and the table has none; try with -o FILE.svg");
        }
        line.chosen = [options] { return report_file(*options); };
    });
}

void add_diff(command_line& line) {
    CLI::App& command = *line.app.add_subcommand(
        "diff", "Draw what has changed between two profiles: red grew, blue shrank.");
    const auto options = std::make_shared<diff_options>();
    add_file(command, "BEFORE", options->before);
    add_file(command, "AFTER", options->after);
    command.add_option("-o,--output", options->files, "FILE.svg or FILE.html; may be repeated")
        ->type_name("FILE")
        ->required()
        ->take_all()
        ->expected(1)
        ->allow_extra_args(false);
    command.add_flag("--threads", options->threads, "threads apart, by their names");
    command.callback([&line, options] {
        for (const std::string& file : options->files) {
            if (!is_drawing(file)) {
                fail(exit_usage,
                     "-o '{}' is no drawing, and diff makes nothing else; try FILE.svg "
                     "or FILE.html",
                     file);
            }
        }
        line.chosen = [options] { return diff(*options); };
    });
}

}  // namespace nmircu::command
