// SPDX-License-Identifier: MIT
//
// What an updater asks the platform about readers it has waited for too long. Freestanding.
#pragma once

#include <cstdint>

#include <nmircu/rcu_stall.hpp>

namespace nmircu::platform {

struct reader_question {
    // Whether a reader whose reader_state::section is this is of interest.
    bool (*wants)(std::uint64_t section, void* context);
    // Called for each that is, and for each of which it is not known (rcu_sight::silent).
    void (*tell)(const rcu_stalled_reader& reader, void* context);
    void* context;
};

}  // namespace nmircu::platform
