// SPDX-License-Identifier: MIT
//
// What the command line asks for.
#pragma once

#include <cstdint>
#include <string>

#include "kinds.hpp"

namespace torture {

enum class breakage { none, no_barrier, no_wait, early_free, relaxed_scan };

// Exit statuses.
inline constexpr int success = 0, failure = 1, bad_usage = 2, nothing_tested = 3, skipped = 77;

struct options {
    double seconds = 0;    // 0: not said
    unsigned readers = 1;  // threads of each kind
    unsigned writers = 1;  // the same, of updaters
    reader_set kinds;
    updater_set updaters;
    bool stutter = false;
    bool forks = false;
    std::uint64_t seed = 1;
    breakage broken = breakage::none;
};

// Exits: 2 with one line about the first bad option, 0 after --help or --list.
options parse(int argc, char** argv);

// The configuration, in one line.
std::string describe(const options& want);

}  // namespace torture
