// SPDX-License-Identifier: MIT
//
// Every thread of a program at one moment: what it does, and its stack with names. Made by
// collector.hpp; shown as text or JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nmi/backtrace/thread_state.hpp>
#include <nmi/symbols/symbolizer.hpp>

namespace nmircu::command {

struct dumped_frame {
    std::uint64_t address = 0;
    function_name name;
};

struct dumped_thread {
    thread_state state;  // as it was before it was asked
    bool answered = false;
    std::string reason;  // why not
    std::uint64_t held_ns = 0;
    std::vector<dumped_frame> frames;  // innermost first
};

struct process_dump {
    int pid = 0;
    std::string name;
    bool was_attached = false;  // an agent was put in for this, and taken out again
    std::vector<dumped_thread> threads;
    std::uint32_t malformed = 0;  // answers that made no sense
};

// Equal stacks together, the largest groups first; then those that did not answer.
std::string dump_text(const process_dump& dump);
std::string dump_json(const process_dump& dump);

}  // namespace nmircu::command
