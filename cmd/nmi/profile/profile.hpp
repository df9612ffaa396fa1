// SPDX-License-Identifier: MIT
//
// A profile with names: what `nmi record` has made of its samples when the program is left, what
// the .pb.gz file stores, and what every output is drawn from. Its parts refer to each other by
// index; all indices are valid (decode_pprof checks them).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nmircu::command {

struct profile_value_type {
    std::string type;  // "samples"
    std::string unit;  // "count"
    friend bool operator==(const profile_value_type&, const profile_value_type&) = default;
};

// A piece of a file that the program has mapped.
struct profile_mapping {
    std::uint64_t begin = 0, end = 0;  // addresses in the program
    std::uint64_t file_offset = 0;
    std::string file;
    std::string build_id;  // lower-case hexadecimal; empty: none
};

struct profile_function {
    std::string name;         // for people
    std::string system_name;  // as in the symbol table
    std::string file;         // source file; empty: unknown
    friend auto operator<=>(const profile_function&, const profile_function&) = default;
};

struct profile_line {
    std::uint32_t function = 0;
    std::int64_t line = 0;  // 0: unknown
};

struct profile_location {
    std::uint64_t address = 0;
    std::optional<std::uint32_t> mapping;
    std::vector<profile_line> lines;  // inlined functions first, the one they are in last
};

struct profile_sample {
    std::vector<std::uint32_t> locations;  // innermost first
    std::vector<std::int64_t> values;      // one for each value type
    std::string thread;                    // its name; empty: unknown
    std::int64_t thread_id = 0;            // 0: unknown
};

struct profile {
    std::vector<profile_value_type> value_types;
    std::vector<profile_mapping> mappings;
    std::vector<profile_function> functions;
    std::vector<profile_location> locations;
    std::vector<profile_sample> samples;
    profile_value_type period_type;
    std::int64_t period = 0;
    std::int64_t time_ns = 0;  // since 1970; 0: unknown
    std::int64_t duration_ns = 0;
    std::uint32_t default_value_type = 0;  // what pprof shows
    std::vector<std::string> comments;     // "command: ...", then what was lost; see losses.hpp
};

}  // namespace nmircu::command
