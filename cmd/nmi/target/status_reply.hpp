// SPDX-License-Identifier: MIT
//
// A status reply of the agent as a value: what the tables and the JSON are made from. Reading it
// never fails: a line that is missing or makes no sense leaves its part empty, because one odd line
// from a program must not hide the others.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <agent/protocol.hpp>

namespace nmircu::command {

using counts = std::vector<std::uint64_t>;

struct handler_status {
    std::string name;
    std::uint64_t generation = 0;
    std::string path;
    std::uint64_t calls = 0;
    std::uint64_t handled = 0;
    std::uint64_t timed_calls = 0;
    std::uint64_t total_ns = 0;
    std::uint64_t longest_ns = 0;
    counts handled_by_cpu;
    bool retired = false;  // unloaded; this is its final row

    [[nodiscard]] double mean_ns() const;
};

struct source_line {
    std::string kind = "none";
    std::uint64_t rate_hz = 0;
    std::uint64_t threads = 0;
    std::uint64_t unreachable = 0;
    std::uint64_t overruns = 0;
    std::string reason;
};

struct unreachable_thread {
    std::uint64_t tid = 0;  // as the program itself knows it
    std::string reason;
    std::string name;  // not from the reply; empty: unknown
};

struct program_status {
    std::string version;
    std::string program;             // not from the reply; empty: unknown
    std::uint64_t time_unix_ns = 0;  // not from the reply either: when it came
    std::uint64_t pid = 0;
    source_line source;
    std::vector<unreachable_thread> unreachable;  // the first of them
    counts cpus;                                  // the CPU each of the columns below stands for
    counts nmis;
    std::vector<handler_status> handlers;
    std::uint64_t unknown = 0;
    std::uint64_t forwarded = 0;
    counts lost;
    std::uint64_t grace_periods = 0;
    std::uint64_t grace_median_ns = 0;
    std::uint64_t grace_longest_ns = 0;
};

program_status read_status(const agent::message& lines);

std::uint64_t sum(const counts& values);

}  // namespace nmircu::command
