// SPDX-License-Identifier: MIT
//
// The command line as values; each verb makes its own from argv (command_line.hpp).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nmi/attach/process_facts.hpp>
#include <nmi/module_spec.hpp>

namespace nmircu::command {

inline constexpr std::uint32_t default_rate_hz = 1000;
inline constexpr std::uint32_t most_rate_hz = 20000;
inline constexpr int most_pid = 1 << 22;  // PID_MAX_LIMIT

struct source_options {
    std::optional<std::uint32_t> rate_hz;  // per thread, of its CPU time
    std::optional<std::string> kind;       // auto, perf or timer
};

struct run_options {
    std::vector<module_spec> modules;  // none: the profiler
    bool no_module = false;            // `-m none`
    source_options source;
    std::string output = "profile";  // BASENAME of .svg and .folded
    std::string report_file;         // empty: stderr
    std::string pid_file;            // empty: none
    bool follow = false;             // children, too
    std::vector<std::string> words;  // PROGRAM ARGS...
};

enum class sampled_time { cpu, wall, off_cpu };

struct record_options {
    int pid = 0;                     // 0: `program`
    std::vector<std::string> words;  // PROGRAM ARGS...
    seccomp_filters filters = seccomp_filters::refuse;
    sampled_time mode = sampled_time::cpu;
    source_options source;
    std::optional<double> seconds;  // none: until somebody or something ends it
    std::optional<std::uint32_t>
        stack_bytes;  // of each stack to copy and unwind; none: frame pointers
    bool threads = false;
    bool idle = false;
    bool follow = false;  // children, too
    std::vector<std::string> files;
};

struct report_options {
    std::string file;
    bool threads = false;
    std::vector<std::string> files;  // none: the table
};

struct diff_options {
    std::string before, after;
    bool threads = false;
    std::vector<std::string> files;
};

struct top_options {
    int pid = 0;
    seccomp_filters filters = seccomp_filters::refuse;
    source_options source;
    double seconds = 1;                  // between two looks
    std::optional<std::uint32_t> rows;   // none: as many as fit
    std::optional<std::uint32_t> looks;  // none: on a terminal without end, else one
};

struct attach_options {
    int pid = 0;
    seccomp_filters filters = seccomp_filters::refuse;
};

struct detach_options {
    int pid = 0;
};

struct load_options {
    int pid = 0;
    seccomp_filters filters = seccomp_filters::refuse;
    module_spec module;
    source_options source;
};

struct swap_options {
    int pid = 0;
    std::string name;
    module_spec module;
};

struct unload_options {
    int pid = 0;
    std::string name;
};

struct status_options {
    std::optional<int> pid;  // none: every agent of the user
    bool json = false;
    std::string watch_text;  // as it was given
    std::optional<double> watch_seconds;
};

struct backtrace_options {
    int pid = 0;
    seccomp_filters filters = seccomp_filters::refuse;
    unsigned timeout_ms = 1000;
    bool json = false;
};

struct watch_options {
    int pid = 0;
    std::string exec;  // empty: none
    unsigned every_s = 10;
    unsigned count = 0;  // 0: without end
    bool json = false;
};

// Each returns the exit status of nmi, or fails with a complaint.
int run(const run_options& options);
int record(const record_options& options);
int report_file(const report_options& options);
int diff(const diff_options& options);
int top(const top_options& options);
int attach(const attach_options& options);
int detach(const detach_options& options);
int load(const load_options& options);
int swap(const swap_options& options);
int unload(const unload_options& options);
int status(const status_options& options);
int backtrace(const backtrace_options& options);
int watch(const watch_options& options);

// The whole command; argv as main's. Prints what it has to say itself.
int command_main(int argc, const char* const* argv);

}  // namespace nmircu::command
