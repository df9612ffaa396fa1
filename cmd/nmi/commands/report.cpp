// SPDX-License-Identifier: MIT
//
// The end of `nmi run`; see report.hpp.
#include <nmi/commands/report.hpp>

#include <csignal>
#include <cstdio>
#include <cstring>

#include <sys/wait.h>

#include <fmt/ranges.h>
#include <nmi/complaint.hpp>
#include <nmi/output/flamegraph.hpp>
#include <nmi/output/folded.hpp>
#include <nmi/output/hot_table.hpp>
#include <nmi/output/make_profile.hpp>
#include <nmi/output/numbers.hpp>
#include <nmi/output/output_file.hpp>
#include <nmi/output/profile_files.hpp>
#include <nmi/output/table.hpp>

namespace nmircu::command {
namespace {

constexpr std::size_t most_functions = 20;

std::string how_it_ended(const outcome& result) {
    if (WIFEXITED(result.wait_status)) {
        return fmt::format("exit status {}", WEXITSTATUS(result.wait_status));
    }
    const int signal = WTERMSIG(result.wait_status);
    return fmt::format("ended by signal {} ({})", signal, strsignal(signal));
}

// What a reader of the figures must know about them.
std::string remarks(const recorder& seen, const outcome& result) {
    std::string text;
    if (result.replaced) {
        text += "note: the program replaced itself (exec); its handlers and counts end there\n";
    } else if (!result.said_goodbye) {
        text +=
            "note: the program ended without its exit handlers; counts above are of at most "
            "0.2 s earlier, samples are complete\n";
    }
    if (result.unfinished != 0) {
        text += fmt::format("note: {} record(s) had been begun and were never finished\n",
                            result.unfinished);
    }
    if (result.corrupt_rings != 0) {
        text += fmt::format("note: {} ring(s) held impossible values and were given up\n",
                            result.corrupt_rings);
    }
    if (seen.malformed() != 0) {
        text += fmt::format("note: {} record(s) were no samples\n", grouped(seen.malformed()));
    }
    return text;
}

std::uint64_t samples_of(const profile& found) {
    std::uint64_t all = 0;
    for (const profile_sample& one : found.samples)
        all += static_cast<std::uint64_t>(one.values[0]);
    return all;
}

std::string tables(const run_options& options, const profile& found, const recorder& seen,
                   const outcome& result) {
    std::string text = fmt::format("{}: {:.2f} s, {}\n",
                                   one_line(fmt::format("{}", fmt::join(options.words, " "))),
                                   result.seconds, how_it_ended(result));
    if (result.has_status) {
        text += source_text(result.source) + "\n\n" + interrupt_table(result.status);
    }
    const std::uint64_t samples = samples_of(found);
    if (samples != 0) {
        text += fmt::format("\nhottest functions of {} samples\n", grouped(samples)) +
                hot_table(hottest(stacks_of(found, thread_roots::none)), samples, most_functions,
                          terminal_width()) +
                comment_line(found) + "\n";
    }
    return text + remarks(seen, result);
}

bool write_or_complain(const std::string& path, const std::string& text) {
    const std::string why = write_file(path, text);
    if (!why.empty()) say(fmt::format("cannot write {}: {}; try another place for it", path, why));
    return why.empty();
}

}  // namespace

bool report(const run_options& options, const recorder& seen, const outcome& result,
            children* family) {
    symbolizer names(seen.map());
    profile found = make_profile(
        seen, names, facts_of(seen, result, fmt::format("{}", fmt::join(options.words, " "))));
    if (family) family->add_to(found, "cpu");
    std::string text = tables(options, found, seen, result);
    bool written = true;
    if (!found.samples.empty()) {
        const stack_counts stacks = stacks_of(found, thread_roots::name);
        const std::string svg = flamegraph(
            stacks, {command_of(found, ""), profile_figures(found), comment_line(found)});
        written = write_or_complain(options.output + ".svg", svg);
        written = write_or_complain(options.output + ".folded",
                                    folded(stacks) + folded_note(comment_line(found))) &&
                  written;
        if (written) {
            text += fmt::format("\nflame graph: {0}.svg   stacks: {0}.folded\n", options.output);
        }
    }
    if (options.report_file.empty()) {
        std::fwrite(text.data(), 1, text.size(), stderr);
        return written;
    }
    return write_or_complain(options.report_file, text) && written;
}

}  // namespace nmircu::command
