// SPDX-License-Identifier: MIT
//
// How much of the agent stays in a program when it leaves: its own code and data, for which a
// signal may still be on its way. Control thread, for it opens a file.
#pragma once

#include <cstdint>

namespace nmircu::agent {

struct footprint {
    std::uint64_t mapped_bytes = 0;    // of address space
    std::uint64_t resident_bytes = 0;  // of those, in memory now and not shared with the file
};

// Of the object that this code is in. Zeros where /proc cannot be read.
footprint own_footprint();

}  // namespace nmircu::agent
