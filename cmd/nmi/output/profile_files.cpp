// SPDX-License-Identifier: MIT
//
// Names to kinds, kinds to writers; see profile_files.hpp.
#include <nmi/output/profile_files.hpp>

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <nmi/complaint.hpp>
#include <nmi/output/flamegraph.hpp>
#include <nmi/output/folded.hpp>
#include <nmi/output/hot_table.hpp>
#include <nmi/output/numbers.hpp>
#include <nmi/output/output_file.hpp>
#include <nmi/output/speedscope.hpp>
#include <nmi/output/stacks.hpp>
#include <nmi/pprof/pprof.hpp>
#include <nmi/profile/losses.hpp>

namespace nmircu::command {
namespace {

constexpr std::size_t file_rows = 100;
constexpr std::size_t file_width = 160;

struct request {
    const profile& of;
    threads_apart threads;
    std::string name;

    [[nodiscard]] stack_counts stacks() const {
        return stacks_of(
            of, threads == threads_apart::yes ? thread_roots::name_and_id : thread_roots::none);
    }
    [[nodiscard]] std::string svg() const {
        const profile_value_type& shown = of.value_types[shown_value_type(of)];
        return flamegraph(stacks(), {name, profile_figures(of), comment_line(of),
                                     shown.type == "samples" ? "samples" : shown.unit});
    }
};

struct kind {
    const char* suffix;
    std::string (*text)(const request&);
};

constexpr kind kinds[] = {
    {".pb.gz", [](const request& wanted) { return encode_pprof(wanted.of); }},
    {".pprof", [](const request& wanted) { return encode_pprof(wanted.of); }},
    {".folded",
     [](const request& wanted) {
         return folded(wanted.stacks()) + folded_note(comment_line(wanted.of));
     }},
    {".collapsed",
     [](const request& wanted) {
         return folded(wanted.stacks()) + folded_note(comment_line(wanted.of));
     }},
    {".svg", [](const request& wanted) { return wanted.svg(); }},
    {".html", [](const request& wanted) { return html_page(wanted.svg(), wanted.name); }},
    {".speedscope.json",
     [](const request& wanted) {
         return speedscope(wanted.of, wanted.threads == threads_apart::yes, wanted.name);
     }},
    {".txt",
     [](const request& wanted) {
         return profile_table(wanted.of, wanted.name, file_rows, file_width);
     }},
};

const kind* kind_of(const std::string& file) {
    const std::string name = file.substr(file.find_last_of('/') + 1);
    for (const kind& one : kinds) {
        if (name.ends_with(one.suffix) && name != one.suffix) return &one;
    }
    return nullptr;
}

}  // namespace

void check_profile_files(const std::vector<std::string>& files, const std::string& attempt) {
    std::set<std::string> seen;
    for (const std::string& file : files) {
        if (kind_of(file) == nullptr) {
            fail(exit_usage,
                 "-o '{}' says no kind of output; try a name that ends in .pb.gz, .pprof, .folded, "
                 ".collapsed, .svg, .html, .speedscope.json or .txt",
                 file);
        }
        if (!seen.insert(file).second) fail(exit_usage, "-o {} is given twice; try it once", file);
    }
    for (const std::string& file : files) {
        if (const std::string why = cannot_write(file); !why.empty()) {
            fail(exit_error, "{}: cannot write {}: {}; try another place for it", attempt, file,
                 why);
        }
    }
}

bool write_profile_files(const profile& of, const std::vector<std::string>& files,
                         threads_apart threads, const std::string& name) {
    const request wanted{of, threads, command_of(of, name)};
    bool all = true;
    for (const std::string& file : files) {
        const std::string why = write_file(file, kind_of(file)->text(wanted));
        if (why.empty()) continue;
        say(fmt::format("cannot write {}: {}; try another place for it", file, why));
        all = false;
    }
    return all;
}

std::string profile_figures(const profile& of) {
    const profile_value_type& shown = of.value_types[shown_value_type(of)];
    std::set<std::pair<std::string, std::int64_t>> threads;
    for (const profile_sample& sample : of.samples)
        threads.insert({sample.thread, sample.thread_id});
    threads.erase({"", 0});
    std::string text = grouped(sum(stacks_of(of, thread_roots::none)));
    text += shown.type == "samples" ? " samples" : fmt::format(" {} ({})", shown.unit, shown.type);
    if (!threads.empty()) {
        text += fmt::format(" · {} thread{}", threads.size(), threads.size() == 1 ? "" : "s");
    }
    if (of.period > 0 && of.period_type.unit == "nanoseconds") {
        text += fmt::format(" · {} Hz of {} time",
                            grouped(static_cast<std::uint64_t>(1'000'000'000 / of.period)),
                            of.period_type.type);
    }
    if (of.duration_ns > 0) {
        text += fmt::format(" · {:.1f} s", static_cast<double>(of.duration_ns) / 1e9);
    }
    return one_line(text);
}

std::string profile_table(const profile& of, const std::string& name, std::size_t rows,
                          std::size_t width) {
    const stack_counts stacks = stacks_of(of, thread_roots::none);
    std::string text = one_line(command_of(of, name)) + "\n" + profile_figures(of) + "\n";
    text += hot_table(hottest(stacks), sum(stacks), rows, width);
    const std::string notes = comment_line(of);
    if (!notes.empty()) text += notes + "\n";
    return text;
}

}  // namespace nmircu::command
