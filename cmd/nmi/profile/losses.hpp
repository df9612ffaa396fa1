// SPDX-License-Identifier: MIT
//
// What a profile does not show, counted: every output says it, also if it is nothing. In a .pb.gz
// file each count is a comment, "lost records: 0".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nmi/profile/profile.hpp>

namespace nmircu::command {

struct losses {
    std::uint64_t lost_records = 0;         // a ring was full
    std::uint64_t overruns = 0;             // merged into an earlier interrupt, and counted there
    std::uint64_t unreachable_threads = 0;  // at the last look
    std::uint64_t truncated = 0;            // stacks cut at the limit
    std::uint64_t unwound_badly = 0;        // stacks that end before their outermost frame
    std::uint64_t malformed = 0;            // records that made no sense, or were never finished
    std::uint64_t orphaned = 0;             // repeats of a sample that was lost
    std::uint64_t corrupt_rings = 0;        // given up
};

// A line for each, in an order that stays.
std::vector<std::string> loss_comments(const losses& of);

// What the comments of a profile say besides the command, in one line: "lost records: 0 · ...".
// Empty if there are none.
std::string comment_line(const profile& of);

// What was profiled, as the comments say; else `otherwise`.
std::string command_of(const profile& of, const std::string& otherwise);
std::string command_comment(const std::string& command);

}  // namespace nmircu::command
