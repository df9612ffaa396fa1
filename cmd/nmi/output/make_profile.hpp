// SPDX-License-Identifier: MIT
//
// From what was recorded to a profile with names: the last moment at which the program's files are
// looked into. Thread context.
#pragma once

#include <cstdint>
#include <string>

#include <nmi/profile/losses.hpp>
#include <nmi/profile/profile.hpp>
#include <nmi/profile/recorder.hpp>
#include <nmi/symbols/symbolizer.hpp>

namespace nmircu::command {

struct recording_facts {
    std::string command;
    std::string time = "cpu";   // what a sample stands for: cpu, wall, off-cpu
    std::uint64_t rate_hz = 0;  // 0: unknown; samples then stand for no time
    std::int64_t begin_ns = 0;  // since 1970
    double seconds = 0;
    losses lost;
};

// Value types: samples (count), and `time` (nanoseconds), if the rate is known.
profile make_profile(const recorder& seen, symbolizer& names, const recording_facts& facts);

}  // namespace nmircu::command
